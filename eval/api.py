"""The Python interface, imported as `from eval import load_records, load_run, score`; see docs/reference/python.md."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from eval.run.join import load_predictions, run_json
from eval.score.score import score_run
from mmafflm.benchmark.benchmark import choose_subsets
from mmafflm.dataset import Dataset, split_file
from mmafflm.errors import Fault
from mmafflm.records import Record


class LoadedRun(NamedTuple):
    """A run: `described` is the content of run.json, `answers` the raw answers as {subset: {record id: text}}."""

    described: dict[str, Any]
    answers: dict[str, dict[str, str]]


def load_records(data: str | Path, subset: str, split: str = "test") -> list[Record]:
    """The records of one subset and split (train, val or test) of a build.

    Raises UsageFault for an unknown subset and when `data` is not a folder; Fault when `data` is not a finished build,
    does not have the subset and split, or when their file changed after the build.
    """
    dataset, name = Dataset.open(Path(data)), choose_subsets(subset)[0].name
    if name not in dataset.subsets(split):
        raise Fault(f"{dataset.path}: no {split} records of {name}. Build the data with this subset.")
    dataset.require_unchanged([split_file(name, split)])
    return list(dataset.records(name, split))


def load_run(run: str | Path) -> LoadedRun:
    """Read a folder that `mmaffben predict` wrote.

    Raises UsageFault for a missing folder, Fault when it is not a run or the answers of a subset cannot be read.
    """
    described = run_json(Path(run))
    files = {name: Path(run) / "predictions" / f"{name}.jsonl" for name in described["subsets"]}
    return LoadedRun(
        described, {name: {one.id: one.prediction for one in load_predictions(path)} for name, path in files.items()}
    )


def score(
    run: str | Path, data: str | Path, mode: str = "strict", subsets: Sequence[str] | None = None
) -> dict[str, Any]:
    """Score a run as `mmaffben score` does; returns what RUN/scores.MODE.json holds (docs/reference/data-format.md).

    mode: strict or paper. subsets: None scores all subsets of the run. Raises Fault when the run does not match the
    data, and UsageFault when a folder is missing or a subset is unknown.
    """
    return score_run(Path(run), Dataset.open(Path(data)), mode, subsets)
