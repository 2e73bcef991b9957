"""The first file that every Python process of a training (LLaMA-Factory, torchrun, ranks) runs. It changes modules.

The folder of this file is first in their PYTHONPATH, because torchrun starts the ranks and calls none of our code. The
changes and their reasons are in the model families (`mend` in mmafflm/families/base.py) and in
mmafflm/train/launch/data_wait.py.
"""

import os
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any

LOADER, MODELS = "torch.utils.data.dataloader", "transformers.models."


def time_loading(module: ModuleType) -> None:
    """Make the DataLoader record how long the rank waits for batches."""
    from mmafflm.train.launch.data_wait import time_loading

    time_loading(module)


def change_of(name: str) -> Callable[[ModuleType], None] | None:
    """The function that changes the module of this name after it is loaded; None for most modules."""
    if name == LOADER:
        return time_loading
    if not name.startswith(MODELS) or ".modeling_" not in name:
        return None
    from mmafflm.families.find import families

    return next((one.mend.apply for one in families() if one.mend and one.mend.module == name), None)


class Changer:
    """An import hook. It finds the modules to change in the same way as Python, and changes each after it is loaded."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The method that Python calls on every finder in sys.meta_path."""
        change = change_of(name)
        spec = PathFinder.find_spec(name, path) if change else None
        if change and spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            run = loader.exec_module

            def exec_module(module: Any) -> None:
                run(module)
                change(module)

            loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Changer())

# `mmafflm train` starts LLaMA-Factory, LLaMA-Factory starts torchrun, and torchrun starts the ranks. Each ends when the
# process that started it is killed. Other programs that these start, such as a reporter's, are left alone.
if {Path(word).name for word in sys.orig_argv[:4]} & {"llamafactory-cli", "torchrun", "launcher.py"}:
    from mmafflm.orphans import PARENT, die_with_parent

    die_with_parent(int(os.environ.get(PARENT, os.getppid())))
    os.environ[PARENT] = str(os.getpid())

# then run the machine's own sitecustomize, which this file hides
_elsewhere = [place for place in sys.path if Path(place).resolve() != Path(__file__).resolve().parent]
_own = PathFinder.find_spec("sitecustomize", _elsewhere)
if _own is not None and _own.loader is not None:
    _own.loader.exec_module(module_from_spec(_own))
