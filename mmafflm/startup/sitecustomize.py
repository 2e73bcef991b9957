"""Run by every Python that `mmafflm train` starts, LLaMA-Factory's and torchrun's: mends where a clip's text stands.

Its folder stands first in their PYTHONPATH, for torchrun starts the ranks and nothing of ours is called there. What is
mended and why, mmafflm/positions.py says.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any

MODULE = "transformers.models.qwen2_5_vl.modeling_qwen2_5_vl"


class Mender:
    """Finds MODULE as Python does, and mends it when it has been run; finds nothing else."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """What Python asks of everything in sys.meta_path."""
        spec = PathFinder.find_spec(name, path) if name == MODULE else None
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            run = loader.exec_module

            def exec_module(module: Any) -> None:
                run(module)
                from mmafflm.positions import rope_index

                module.Qwen2_5_VLModel.get_rope_index = rope_index

            loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Mender())

# `mmafflm train` starts LLaMA-Factory, this starts torchrun, and torchrun starts the ranks: none goes on when the one
# above it was killed. Programs that these start in passing, such as a reporter's, are left alone.
if {Path(word).name for word in sys.orig_argv[:4]} & {"llamafactory-cli", "torchrun", "launcher.py"}:
    from mmafflm.orphans import die_with_parent

    die_with_parent()

# a machine's own sitecustomize, which this one stands before
_elsewhere = [place for place in sys.path if Path(place).resolve() != Path(__file__).resolve().parent]
_own = PathFinder.find_spec("sitecustomize", _elsewhere)
if _own is not None and _own.loader is not None:
    _own.loader.exec_module(module_from_spec(_own))
