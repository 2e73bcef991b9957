"""run.json: how a run was made, stored next to its weights or its answers."""

import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from mmafflm.errors import Fault
from mmafflm.files.documents import first_wrong, read_json
from mmafflm.records import write_text

RUN = "run.json"
# In the run.json of a training run, {POSITIONS: ORIGINAL} means that the text after clips had the position numbers that
# Qwen2.5-VL was pretrained with. `mmafflm train` ensures this (`mend` in mmafflm/families). Without the key we cannot
# know.
POSITIONS, ORIGINAL = "clip_positions", "original"
FIX = "Restore it, or choose another folder."


class _Described(BaseModel):
    """The keys of run.json that our commands read, with their types. Any may be absent or null; others are allowed."""

    model_config = ConfigDict(strict=True, extra="allow")

    finished: bool | None = None
    ended: str | None = None
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


def run_of(run: Path, seed: int) -> Path:
    """The folder for seed 1, 2, 3, ... of a run: RUN, RUN-seed2, RUN-seed3. `experiment --seeds` makes them."""
    return run if seed == 1 else run.with_name(f"{run.name}-seed{seed}")


def read_run(folder: Path) -> dict[str, Any] | None:
    """FOLDER/run.json, or None when it is missing. Raises Fault when it is not JSON or does not describe a run."""
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
    """Write FOLDER/run.json, completely or not at all."""
    write_text(folder / RUN, json.dumps(row, indent=2, ensure_ascii=False) + "\n")


def installed(*names: str) -> dict[str, str]:
    """{name: version} of those of the given packages that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
