"""What is slow to make is made once for all processes of the suite, by the first that needs it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

FEW = 6  # rows of each subset and split in the fixture `few`


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder `name` that `make` has filled. Tests must not change it.

    pytest-xdist gives each process a folder of its own, all in one folder of the session; the shared ones lie there.
    """
    own = factory.getbasetemp()
    root = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared"
    root.mkdir(exist_ok=True)
    folder, whole = root / name, root / f"{name}.whole"
    with FileLock(root / f"{name}.lock"):
        if not whole.exists():
            make(folder)
            whole.touch()
    return folder
