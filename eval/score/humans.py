"""How well people agree in a task, as a reference line for models: one annotator against the others, in its own metric.

DATA/origins.jsonl has each annotator's own answers where the raw corpus has them (EMOTIC's validation and test). A row
with k annotators is asked k times: each of them in turn plays the model, and the others are combined as the corpus
combines them (union of labels, mean of numbers). The figure is the mean of these rounds. A model is compared with all
annotators combined, one more than a person is, so this line is a little low.
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
KEY = "annotators"  # of a row's origin: {task key: each annotator's gold}
LEAST = 2  # annotators of a row


def add_humans(subsets: Mapping[str, dict[str, Any]], data: Path, records: Mapping[str, Sequence[Record]]) -> None:
    """Add "humans" to the scores of every task whose rows have the answers of several annotators."""
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
    """The "humans" of a task: n rows with annotators, how many these have, metrics and intervals; None without rows.

    answers: each row's annotators' golds; rows with fewer than LEAST are left out. draw: resamples, seed. groups [n]:
    the rows that are resampled together.
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
    """(the others combined, one annotator), a row each."""
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
