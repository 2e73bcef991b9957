"""The parsed answers of a run, joined to their records and split by task: the input of diagnosis and comparison."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.run.join import join, load_predictions, require_data
from eval.run.selection import Selection, split_of
from eval.score.groups import groups_of
from eval.score.measure import Answers, answers
from eval.score.permutation import SwappedRuns
from mmafflm.benchmark.benchmark import Task, benchmark
from mmafflm.dataset import Dataset, split_file
from mmafflm.errors import Fault
from mmafflm.records import Record


@dataclass(frozen=True)
class Answered:
    """One task's records, the raw answers to them and the parsed answers: n rows each, in record order."""

    task: Task
    records: list[Record]
    texts: list[str]
    read: Answers

    @property
    def name(self) -> str:
        """The task's name."""
        return self.task.name

    @property
    def emotions(self) -> list[str | None] | None:
        """Each row's emotion if the task's score is the mean of the scores of its emotions, else None."""
        return [record.emotion for record in self.records] if self.task.per_emotion else None

    @property
    def groups(self) -> NDArray[np.int64]:
        """Each row's group [n] for resampling, from groups_of()."""
        return groups_of(self.records)

    def of(self, rows: Sequence[int]) -> "Answered":
        """The same task with only these rows."""
        asked, said = [self.records[row] for row in rows], [self.texts[row] for row in rows]
        return Answered(self.task, asked, said, self.read.of(rows))

    def by_language(self) -> dict[str, "Answered"]:
        """{language: its rows}, in alphabetical order of the languages."""
        rows: dict[str, list[int]] = {}
        for row, record in enumerate(self.records):
            rows.setdefault(record.language, []).append(row)
        return {language: self.of(rows[language]) for language in sorted(rows)}


def by_task(subset: str, records: Sequence[Record], texts: Sequence[str], mode: str) -> list[Answered]:
    """Split a subset's rows into its tasks (in the benchmark's order) and parse the answers in `mode`."""
    rows: dict[str, list[int]] = {}
    for row, record in enumerate(records):
        rows.setdefault(benchmark()[subset].task(record.task).key, []).append(row)
    found = []
    for task in benchmark()[subset].tasks:
        if chosen := rows.get(task.key):
            asked, said = [records[row] for row in chosen], [texts[row] for row in chosen]
            found.append(Answered(task, asked, said, answers(task, asked, said, mode)))
    return found


def swapped(one: Answered, other: Answered, mode: str, permutations: int, seed: int) -> SwappedRuns:
    """Two runs' answers to the same records under random swaps of rows, or of whole groups if records have groups."""
    emotions = None if one.emotions is None else np.array(one.emotions, dtype=str)
    both = [one.read.prediction, other.read.prediction]
    runs = SwappedRuns(one.task, mode, one.read.gold, both, emotions, one.groups)
    runs.draw(permutations, seed)
    return runs


def known_subsets(run: Path, described: dict[str, Any], data: Dataset, subsets: Sequence[str] | None) -> list[str]:
    """The subsets to read, in the benchmark's order. Raises Fault for a subset that the run or the data lacks.

    subsets: names of subsets of the benchmark; None means all subsets of the run.
    """
    names = [name for name in benchmark() if name in (described["subsets"] if subsets is None else subsets)]
    if lacking := [name for name in names if name not in described["subsets"]]:
        raise Fault(f"{run}: no answers to {', '.join(lacking)}. Run mmaffben predict for them, or leave them out.")
    split = split_of(described)
    if lacking := [name for name in names if name not in data.subsets(split)]:
        raise Fault(
            f"{data.path}: no {split} records of {', '.join(lacking)}. Build them, or leave them out (--subsets)."
        )
    return names


def chosen_subsets(run: Path, described: dict[str, Any], data: Dataset, subsets: Sequence[str] | None) -> list[str]:
    """known_subsets(), after a check of their records. Raises Fault also for records that changed since the build."""
    names = known_subsets(run, described, data, subsets)
    data.require_unchanged(split_file(name, split_of(described)) for name in names)
    return names


def answered_tasks(
    run: Path, described: dict[str, Any], data: Dataset, subsets: Sequence[str] | None = None, mode: str = "strict"
) -> list[Answered]:
    """Every task of a run. described: the run's run.json.

    Raises Fault for other data, changed records, missing subsets, and answers that do not match the records.
    """
    require_data(run, described, data)
    found = []
    for name in chosen_subsets(run, described, data, subsets):
        records = Selection.of_run(described).of(data.records(name, split_of(described)))
        texts = join(name, records, load_predictions(run / "predictions" / f"{name}.jsonl"))
        found.extend(by_task(name, records, texts, mode))
    return found
