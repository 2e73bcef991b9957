"""Score checkpoints on MMAFFBen: a checkpoint and DATA come in, a RUN folder with answers and scores goes out.

In Python: `from eval import load_records, load_run, score` (eval/api.py).
"""

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    """Load the Python interface when one of its functions is asked for: a command must not wait for all of it."""
    if name in ("load_records", "load_run"):
        return getattr(import_module("eval.api"), name)
    raise AttributeError(f"module 'eval' has no attribute {name!r}")
