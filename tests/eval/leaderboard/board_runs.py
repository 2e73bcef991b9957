"""Made-up scored runs of models that accept text, pictures or clips, to test the leaderboard."""

import json
import random
from functools import cache
from pathlib import Path

from eval.run.selection import Selection
from eval.score.score import score
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import Dataset
from mmafflm.records import Prediction, Record, write_jsonl, write_text
from tests.eval.report.report_runs import answer_of

NAMES = ("semeval2018_english", "XED", "FER2013", "EMOTIC_SI", "SAMSEMO", "MELD_SP")
EVIL = "<img src=x onerror=alert(1)>_{&$ | ضعيف"  # the name of a run's folder
ACCEPTS = (("text",), ("text", "image"), ("text", "image", "video"))


def board_run(
    data: Dataset, path: Path, skill: float, accepts: tuple[str, ...] = ACCEPTS[2], resamples: int = 20, **more: object
) -> Path:
    """A RUN, scored in both modes, that was asked what it accepts; `more` is added to run.json."""
    names = [name for name in data.subsets("test") if benchmark()[name].modality in accepts]
    selection = Selection.of_run(more)
    records = {name: selection.of(_records(data.path, name)) for name in names}
    predictions = {}
    for name, rows in records.items():
        draw = random.Random(f"{path.name} {name}")
        predictions[name] = [Prediction(one.id, answer_of(one, skill, draw)) for one in rows]
        lines = ({"id": one.id, "prediction": one.prediction} for one in predictions[name])
        write_jsonl(path / "predictions" / f"{name}.jsonl", lines)
    described = {
        "schema": 1, "checkpoint": f"/models/{path.name}", "engine": "hf", "readout": "greedy", "limit": None,
        "accepts": accepts, "data_hash": data.hash, "ablation": "none", "subsets": {name: {} for name in names},
    }  # fmt: skip
    write_text(path / "run.json", json.dumps(described | more))
    for mode in ("strict", "paper"):
        write_text(path / f"scores.{mode}.json", json.dumps(score(records, predictions, mode, resamples=resamples)))
    return path


@cache
def _records(data: Path, subset: str) -> list[Record]:
    """The records of a subset, read once for all runs."""
    return list(Dataset.open(data).records(subset, "test"))
