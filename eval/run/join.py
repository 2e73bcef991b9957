"""Join answers to records by id, never by position."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmafflm.dataset import Dataset
from mmafflm.errors import Fault, UsageFault
from mmafflm.files.inside import require_inside
from mmafflm.records import Prediction, Record, read_jsonl
from mmafflm.run_file import RUN, read_run


def load_predictions(path: Path) -> list[Prediction]:
    """The answers in RUN/predictions/SUBSET.jsonl. Raises Fault if the file is missing or a line is not an answer."""
    if not path.exists():
        raise Fault(f"{path}: missing. Run mmaffben predict for this subset, or leave it out with --subsets.")
    found = []
    for number, row in enumerate(read_jsonl(path), 1):
        if not isinstance(row.get("id"), str) or not isinstance(row.get("prediction"), str):
            raise Fault(f'{path}:{number}: not {{"id": ..., "prediction": ...}}. Remove the line and predict again.')
        found.append(Prediction(row["id"], row["prediction"]))
    return found


def run_json(run: Path) -> dict[str, Any]:
    """The content of RUN/run.json.

    Raises UsageFault when the folder is missing; Fault when run.json is missing or does not describe a run, and when a
    link in the folder leads out of it, because we would write files elsewhere.
    """
    if not run.is_dir():
        raise UsageFault(f"{run}: no such folder. Make it: mmaffben predict --ckpt CKPT --data DATA --out {run}")
    require_inside(run)
    described = read_run(run)
    if described is None:
        raise Fault(f"{run}: no {RUN}, so this is not a run of mmaffben predict. Predict again.")
    if not isinstance(described.get("subsets"), dict):
        raise Fault(f'{run / RUN}: no "subsets", so this is not a run of mmaffben predict. Predict again.')
    return described


def require_data(run: Path, described: Mapping[str, Any], data: Dataset) -> None:
    """Raises Fault when the run answered other data. described: the run's run.json."""
    if described.get("data_hash") != data.hash:
        raise Fault(f"{run}: its answers are to other data (data_hash in run.json is not that of {data.path}). "
                    "Use the data of the prediction, or predict again.")  # fmt: skip


def join(subset: str, records: Sequence[Record], predictions: Sequence[Prediction]) -> list[str]:
    """Each record's answer, in record order. Raises Fault with the ids that are missing, occur twice or are unknown."""
    by_id = {one.id: one.prediction for one in predictions}
    wanted = {record.id for record in records}
    faults = {
        "missing": [record.id for record in records if record.id not in by_id],
        "repeated": [name for name, times in Counter(one.id for one in predictions).items() if times > 1],
        "unknown": [name for name in by_id if name not in wanted],
    }
    said = [f"{len(ids)} {kind} ({few(ids)})" for kind, ids in faults.items() if ids]
    if said:
        remove = f"remove their lines (all but one of a repeated id) from predictions/{subset}.jsonl"
        fix = "run mmaffben predict again, which resumes" if faults["missing"] else remove
        if faults["missing"] and faults["unknown"]:
            fix = "predict again into another folder: the answers are for other rows than this data and --limit select"
        raise Fault(f"{subset}: {', '.join(said)} among the ids of the answers. To fix it, {fix}.")
    return [by_id[record.id] for record in records]


def few(ids: Iterable[str], most: int = 3) -> str:
    """The first `most` ids as text for a message."""
    ids = list(ids)
    return ", ".join(ids[:most]) + (", ..." if len(ids) > most else "")
