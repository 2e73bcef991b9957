"""The training of MMAFFLM (plan, launch, stream, watch), and the code that it shares with build and evaluation."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("mmafflm")
except PackageNotFoundError:  # a copy of the source that nobody installed
    __version__ = "unknown"
