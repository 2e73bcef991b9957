"""Human agreement as a reference for models: the score of one annotator against the others, in the task's metrics.

DATA/origins.jsonl has each annotator's own answers if the raw corpus has them (EMOTIC's validation and test). In each
round the answer of one annotator of each row is scored like a model's, and the answers of the others are combined as
the corpus combines them (union of labels, mean of numbers). There are enough rounds that every annotator of every row
is scored. The result is the mean over the rounds. A model is compared with all annotators combined, a person with one
fewer, so human agreement is slightly underestimated.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eval.score.bootstrap import RESAMPLES, SEED, distribution, interval
from eval.score.groups import groups_of, members
from eval.score.measure import measure
from eval.score.metrics import Array, Floats
from mmafflm.benchmark.benchmark import Task, benchmark
from mmafflm.benchmark.grammar import Labels, Vad
from mmafflm.records import Record, read_jsonl

ORIGINS = "origins.jsonl"
KEY = "annotators"  # key in a row's origin; its value is {task key: each annotator's gold}
LEAST = 2  # the fewest annotators of a row that counts


def add_humans(subsets: Mapping[str, dict[str, Any]], data: Path, records: Mapping[str, Sequence[Record]]) -> None:
    """Add the entry "humans" to the scores of every task with rows that several annotators answered."""
    if not (data / ORIGINS).exists():
        return
    known = {(row["corpus"], row["source"]): row[KEY] for row in read_jsonl(data / ORIGINS) if KEY in row}
    for name, rows in records.items():
        corpus = benchmark()[name].corpus
        for task in benchmark()[name].tasks:
            scored = subsets[name].get("tasks", {task.key: subsets[name]}).get(task.key)
            asked = [one for one in rows if one.task == task.kind]
            answers = [known.get((corpus, one.source), {}).get(task.key, []) for one in asked]
            if scored is not None and (found := agreement(task, answers, groups=groups_of(asked))):
                scored["humans"] = found


def agreement(
    task: Task, answers: Sequence[Sequence[Any]], draw: tuple[int, int] = (RESAMPLES, SEED), groups: Array | None = None
) -> Any:
    """The entry "humans" of a task: rows, mean number of annotators, metrics and intervals. None without such rows.

    answers: for each row, the answers of its annotators. Rows with fewer than LEAST answers are left out. draw: number
    of resamples, seed. groups [n]: equal numbers for rows that are resampled together.
    """
    kept = [at for at, one in enumerate(answers) if len(one) >= LEAST]
    rows = [answers[at] for at in kept]
    if not rows:
        return None
    rounds = [_round(task, rows, number) for number in range(max(map(len, rows)))]

    def measured(weights: Floats) -> dict[str, Floats]:
        each = [measure(task, "strict", gold, answer, weights) for gold, answer in rounds]
        return {name: np.mean([one[name] for one in each], axis=0) for name in each[0]}

    plain = np.ones(len(rows))
    together = None if groups is None else members(groups[kept], np.arange(len(rows)))
    drawn = distribution(measured, plain, *draw, together)
    return {
        "n": len(rows),
        "annotators": sum(map(len, rows)) / len(rows),
        "metrics": {name: float(values[0]) for name, values in measured(plain[None, :]).items()},
        "ci95": {name: interval(values) for name, values in drawn.items()},
    }


def _round(task: Task, rows: Sequence[Sequence[Any]], number: int) -> tuple[Array, Array]:
    """(the combined answers of the other annotators, the answer of one annotator) as arrays with an entry per row."""
    ones = [row[number % len(row)] for row in rows]
    others = [[one for at, one in enumerate(row) if at != number % len(row)] for row in rows]
    match task.grammar:
        case Labels() as labels:
            sets = [set().union(*row) for row in others]
            gold, answer = ([[name in one for name in labels.names] for one in side] for side in (sets, ones))
            return np.array(gold, dtype=bool), np.array(answer, dtype=bool)
        case Vad() as vad:
            numbers = [[[one[name] for name in vad.dimensions] for one in row] for row in others]
            return np.array([np.mean(row, axis=0) for row in numbers]), np.array(
                [[one[name] for name in vad.dimensions] for one in ones], dtype=float
            )
        case _:
            return np.array([np.mean(row) for row in others]), np.array(ones, dtype=float)
