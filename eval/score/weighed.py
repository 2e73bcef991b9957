"""Add the calibration of a run whose answers come from likelihoods to its scores in strict mode."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.score.bootstrap import RESAMPLES, SEED
from eval.score.calibration import calibration, weighed_rows
from eval.score.readout import readout_of
from mmafflm.benchmark.benchmark import Task, benchmark
from mmafflm.records import Record, read_jsonl


def likelihood_files(run: Path, names: Iterable[str]) -> dict[str, Path]:
    """{subset: its likelihoods file}, for the subsets that have such a file."""
    files = {name: run / "likelihoods" / f"{name}.jsonl" for name in names}
    return {name: path for name, path in files.items() if path.exists()}


def add_calibration(
    subsets: Mapping[str, dict[str, Any]], run: Path, records: Mapping[str, Sequence[Record]], readout: str
) -> None:
    """Add "calibration" to the scores of every task and language whose answers come from likelihoods."""
    for name, path in likelihood_files(run, records).items():
        logp = {str(row["id"]): row["logp"] for row in read_jsonl(path)}
        for task, scored, rows in _parts(name, subsets[name], records[name]):
            if readout_of(task, readout) != "greedy" and (weighed := weighed_rows(task, rows, logp)):
                scored["calibration"] = calibration(task, rows, weighed, (RESAMPLES, SEED))


def _parts(
    name: str, found: dict[str, Any], records: Sequence[Record]
) -> Iterator[tuple[Task, dict[str, Any], list[Record]]]:
    """Yield each task of a subset with its scores and records, then each language of the task."""
    for task in benchmark()[name].tasks:
        rows = [one for one in records if one.task == task.kind]
        if scored := found.get("tasks", {task.key: found}).get(task.key):
            yield task, scored, rows
            for language, part in scored.get("by_language", {}).items():
                yield task, part, [one for one in rows if one.language == language]
