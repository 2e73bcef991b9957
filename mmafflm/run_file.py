"""run.json: what a run was made with, beside its weights or its answers."""

import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mmafflm.errors import Fault
from mmafflm.records import write_text

RUN = "run.json"
# In a training's run.json: {POSITIONS: ORIGINAL} when the text behind clips stood where Qwen2.5-VL learned it, which
# `mmafflm train` sees to (mmafflm/positions.py); without the key nobody knows.
POSITIONS, ORIGINAL = "clip_positions", "original"


def read_run(folder: Path) -> dict[str, Any] | None:
    """FOLDER/run.json; None where there is none. Raises Fault when it is not a JSON object."""
    path = folder / RUN
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise Fault(f"{path}: not JSON ({error}). Restore it, or name another folder.") from None
    if not isinstance(row, dict):
        raise Fault(f"{path}: not the description of a run. Restore it, or name another folder.")
    return row


def write_run(folder: Path, row: dict[str, Any]) -> None:
    """Write FOLDER/run.json, whole or not at all."""
    write_text(folder / RUN, json.dumps(row, indent=2, ensure_ascii=False) + "\n")


def installed(*names: str) -> dict[str, str]:
    """The versions of those packages that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
