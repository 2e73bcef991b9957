"""run.json: what a run was made with, beside its weights or its answers."""

import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from mmafflm.errors import Fault
from mmafflm.files.documents import first_wrong, read_json
from mmafflm.records import write_text

RUN = "run.json"
# In a training's run.json: {POSITIONS: ORIGINAL} when the text behind clips stood where Qwen2.5-VL learned it, which
# `mmafflm train` sees to (`mend` in mmafflm/families); without the key nobody knows.
POSITIONS, ORIGINAL = "clip_positions", "original"
FIX = "Restore it, or name another folder."


class _Described(BaseModel):
    """The kinds of the values that readers of a run.json use; a key may be absent or null, and others may be there."""

    model_config = ConfigDict(strict=True, extra="allow")

    finished: bool | None = None
    base: str | None = None
    template: str | None = None
    checkpoint: str | None = None
    engine: str | None = None
    readout: str | None = None
    ablation: str | None = None
    split: str | None = None
    data: str | None = None
    data_hash: str | None = None
    exported_from: str | None = None
    limit: int | None = None
    mix_videos: int | None = None
    languages: list[str] | None = None
    budget: dict[str, float] | None = None
    spent: dict[str, float] | None = None
    versions: dict[str, str] | None = None
    subsets: dict[str, dict[str, Any]] | None = None


def read_run(folder: Path) -> dict[str, Any] | None:
    """FOLDER/run.json; None where there is none. Raises Fault when it is not the description of a run."""
    path = folder / RUN
    try:
        row = read_json(path, FIX)
        _Described.model_validate(row)
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise Fault(f"{path}: not the description of a run ({first_wrong(error)}). {FIX}") from None
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
