"""`mmafflm doctor`: which parts of the training stack work on this machine, and which do not."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mmafflm.families.find import built_for

# The packages that training needs; constraints.txt has versions that work together.
STACK = ("llamafactory", "transformers", "torch", "torchvision", "deepspeed", "peft", "accelerate", "datasets", "trl",
         "av", "decord", "qwen-vl-utils")  # fmt: skip
CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"  # in a checkout; an installed wheel has no such file


def examine() -> Iterator[tuple[bool, str, str]]:
    """Check versions, GPUs, memory, disk and the hub's cache.

    Yield (whether it is fine, what was checked, what was found and what to do).
    """
    yield from _versions()
    yield from _gpus()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    yield memory >= 16, "memory", f"{memory:.0f} GiB; the pocket stand-in was tested with 24 GiB"
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    yield free >= 10, "disk", f"{free:.0f} GiB free in this folder"
    yield from _hub()


def _versions() -> Iterator[tuple[bool, str, str]]:
    python = platform.python_version()
    yield sys.version_info >= (3, 11), "python", python
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines() if CONSTRAINTS.exists() else []
    pins = dict(line.split("==", 1) for line in lines if "==" in line and not line.startswith("#"))
    for name in STACK:
        try:
            found = version(name)
        except PackageNotFoundError:
            yield False, name, "not installed; run make setup"
            continue
        fine = pins.get(name, found) == found.split("+")[0]
        yield fine, name, found if fine else f"{found}; the tested version is {pins[name]}: run make setup"


def _gpus() -> Iterator[tuple[bool, str, str]]:
    try:
        import torch
    except ImportError:
        return
    if not torch.cuda.is_available():
        yield False, "GPU", "none; the stand-ins nano and pocket run on the CPU, MMAFFLM-3b and -7b need GPUs"
    for index in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(index)
        yield True, f"GPU {index}", f"{about.name}, {about.total_memory / 2**30:.0f} GiB"


def _hub() -> Iterator[tuple[bool, str, str]]:
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return
    for base in built_for().published:
        cached = isinstance(try_to_load_from_cache(base, "config.json"), str)
        state = (
            "in the hub's cache" if cached else "not in the hub's cache: downloaded at first use, or give --base DIR"
        )
        yield cached, base, state
