"""Score checkpoints on MMAFFBen: read a checkpoint and DATA, write a RUN folder with answers and scores.

In Python: `from eval import load_records, load_run, score` (eval/api.py).
"""

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    """Import eval.api only when one of its functions is used, because its import would delay every command."""
    if name in ("load_records", "load_run"):
        return getattr(import_module("eval.api"), name)
    raise AttributeError(f"module 'eval' has no attribute {name!r}")
