"""The pictures, frames and clips of a build that may be served: named by a record, of a known kind, below DATA."""

from pathlib import Path
from typing import NamedTuple

from mmafflm.errors import Fault

# No SVG, no HTML: nothing that could run
KINDS = {
    ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp", ".gif": "image/gif",
    ".bmp": "image/bmp", ".mp4": "video/mp4", ".webm": "video/webm",
}  # fmt: skip


class Medium(NamedTuple):
    """A file and its MIME type."""

    path: Path
    kind: str


def medium(root: Path, name: str) -> Medium:
    """The file that a record names, links followed. Raises Fault when it lies outside `root`, is of no known kind or
    is not there."""
    try:
        path = (root / name).resolve()
        there = path.is_file()
    except (OSError, ValueError, RuntimeError):  # a name that is too long, or holds a NUL; links in a ring
        raise Fault(f"{name}: cannot be opened") from None
    if not path.is_relative_to(root.resolve()):
        raise Fault(f"{name}: outside {root}, not shown")
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise Fault(f"{name}: no picture or clip that a browser shows")
    if not there:
        raise Fault(f"{name}: missing")
    return Medium(path, kind)


def content(found: Medium) -> bytes:
    """The bytes of a file. Raises Fault when it cannot be read."""
    try:
        return found.path.read_bytes()
    except OSError as error:
        raise Fault(f"{found.path}: cannot be read ({error.strerror})") from None
