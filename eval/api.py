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
    """A run: `described` is its run.json, `answers` its raw answers, {subset: {id of a record: text}}."""

    described: dict[str, Any]
    answers: dict[str, dict[str, str]]


def load_records(data: str | Path, subset: str, split: str = "test") -> list[Record]:
    """The records of one subset and split (train, val or test) of a build.

    Raises UsageFault for an unknown subset, and Fault when the build lacks it or its file changed after the build.
    """
    dataset, name = Dataset.open(Path(data)), choose_subsets(subset)[0].name
    if name not in dataset.subsets(split):
        raise Fault(f"{dataset.path}: no {split} records of {name}. Build them.")
    dataset.require_unchanged([split_file(name, split)])
    return list(dataset.records(name, split))


def load_run(run: str | Path) -> LoadedRun:
    """A folder that `mmaffben predict` wrote. Raises UsageFault for a missing folder, Fault for one that is no run."""
    described = run_json(Path(run))
    files = {name: Path(run) / "predictions" / f"{name}.jsonl" for name in described["subsets"]}
    return LoadedRun(
        described, {name: {one.id: one.prediction for one in load_predictions(path)} for name, path in files.items()}
    )


def score(
    run: str | Path, data: str | Path, mode: str = "strict", subsets: Sequence[str] | None = None
) -> dict[str, Any]:
    """Score a run as `mmaffben score` does; returns what RUN/scores.MODE.json holds (docs/reference/data-format.md).

    mode: strict or paper. subsets: None takes all of the run. Raises Fault when the run does not fit the data.
    """
    return score_run(Path(run), Dataset.open(Path(data)), mode, subsets)
