"""Run by every Python that `mmafflm train` starts, LLaMA-Factory's and torchrun's: mends where a clip's text stands.

Its folder stands first in their PYTHONPATH, for torchrun starts the ranks and nothing of ours is called there. What is
mended and why, the families say (`mend` in mmafflm/families/base.py).
"""

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any

MODELS = "transformers.models."


class Mender:
    """Finds the modules that a family mends as Python does, and mends them when they have been run."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """What Python asks of everything in sys.meta_path."""
        mend = _mend_of(name) if name.startswith(MODELS) and ".modeling_" in name else None
        spec = PathFinder.find_spec(name, path) if mend else None
        if mend and spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            run = loader.exec_module

            def exec_module(module: Any) -> None:
                run(module)
                mend(module)

            loader.exec_module = exec_module
        return spec


def _mend_of(name: str) -> Callable[[ModuleType], None] | None:
    from mmafflm.families.find import families

    return next((one.mend.apply for one in families() if one.mend and one.mend.module == name), None)


sys.meta_path.insert(0, Mender())

# a machine's own sitecustomize, which this one stands before
_elsewhere = [place for place in sys.path if Path(place).resolve() != Path(__file__).resolve().parent]
_own = PathFinder.find_spec("sitecustomize", _elsewhere)
if _own is not None and _own.loader is not None:
    _own.loader.exec_module(module_from_spec(_own))
