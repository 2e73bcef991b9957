"""The scores of simple baselines, so that a model's score can be compared with the best of them.

majority     always the most frequent gold label or class.
median       for numbers: always the median of gold.
prior        gold's own answers assigned to rows at random: the expected score.
all_labels   for label sets: every label.
tfidf        a linear model of character n-grams, trained on the subset's training split (eval/score/learned.py).

The correlation of a constant or a random answer counts as 0.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from eval.score import metrics
from eval.score.figure import figure
from eval.score.learned import LearnedAnswers
from eval.score.measure import answers, majority, measure, of_counts
from eval.score.metrics import Array, Floats
from mmafflm.benchmark.benchmark import Task
from mmafflm.benchmark.grammar import Labels, Number, Ordinal, Vad
from mmafflm.records import Record

NAMES = {
    "majority": "majority",
    "median": "median",
    "prior": "prior sampling",
    "all_labels": "all labels",
    "tfidf": "TF-IDF",
}
LEARNED = "tfidf"


class Baseline(NamedTuple):
    """A baseline's displayed name, and its value of a metric."""

    name: str
    value: float

    def __str__(self) -> str:
        return f"{self.value:.3f} {self.name}"


def trivial(
    task: Task, mode: str, gold: Array, emotions: Sequence[str | None] | None = None
) -> dict[str, dict[str, float]]:
    """{baseline: its metrics} for every baseline that needs no training; with `emotions`, means over the emotions."""
    if emotions is None:
        return _trivial(task, mode, gold)
    of = np.array(emotions, dtype=object)
    return _mean([_trivial(task, mode, gold[of == one]) for one in dict.fromkeys(emotions)])


def _mean(parts: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    return {
        name: {metric: float(np.mean([part[name][metric] for part in parts])) for metric in parts[0][name]}
        for name in parts[0]
    }


def _trivial(task: Task, mode: str, gold: Array) -> dict[str, dict[str, float]]:
    grammar = task.grammar
    always = {"median" if isinstance(grammar, Number | Vad) else "majority": majority(task, gold)}
    if isinstance(grammar, Labels) and grammar.most > 1:
        always["all_labels"] = np.ones_like(gold)
    found = {
        name: _values(measure(task, mode, gold, answer, np.ones((1, len(gold))))) for name, answer in always.items()
    }
    found["prior"] = _prior_of_labels(task, mode, gold) if isinstance(grammar, Labels) else _prior(found, task, gold)
    return found


def _values(measured: Mapping[str, Floats]) -> dict[str, float]:
    return {name: float(value[0]) if np.isfinite(value[0]) else 0.0 for name, value in measured.items()}


def _prior_of_labels(task: Task, mode: str, gold: Array) -> dict[str, float]:
    """The metrics of the expected counts of the baseline prior.

    Of w rows with a label, w * w / n are hits. A label set with a share s of the rows is right with probability s.
    """
    rows = len(gold)
    wanted = gold.astype(float).sum(0)[None]
    _, sets = np.unique(gold, axis=0, return_counts=True)
    right = np.array([(sets.astype(float) ** 2).sum() / rows])
    counts = metrics.Counts(wanted**2 / rows, wanted, wanted, right, np.array([float(rows)]))
    return _values(of_counts(task, mode, counts))


def _prior(found: Mapping[str, Mapping[str, float]], task: Task, gold: Array) -> dict[str, float]:
    """The expected metrics of the baseline prior for numbers.

    Correlations are 0, the error is the mean distance of two gold values, and the accuracy of ordinals is the
    probability that two gold values are equal.
    """
    values = next(iter(found.values()))
    columns = np.sort(gold.astype(float).reshape(len(gold), -1), axis=0)
    rows = len(columns)
    ranks = 2 * np.arange(1, rows + 1) - rows - 1
    chance = dict.fromkeys(values, 0.0) | (
        {"mae": float((ranks @ columns).mean() * 2 / rows**2)} if "mae" in values else {}
    )
    if isinstance(task.grammar, Ordinal) and "accuracy" in values:
        _, counts = np.unique(gold, return_counts=True)
        chance |= {"accuracy": float((counts / rows) @ (counts / rows)), "balanced_accuracy": 1 / len(counts)}
    return chance


def add_learned(
    scored: dict[str, Any], task: Task, mode: str, records: Sequence[Record], learned: LearnedAnswers
) -> None:
    """Add the learned baseline to a task's entry in scores.MODE.json, or the reason why the task has none."""
    answered = [one.id in learned.answers for one in records]
    if not all(answered):
        scored["no_learned"] = learned.why or "too few training rows of this task"
        return
    read = answers(task, records, [learned.answers[one.id] for one in records], mode)
    emotions = [one.emotion for one in records] if task.per_emotion else None
    of = np.array(emotions, dtype=object)
    masks = [of == one for one in dict.fromkeys(emotions)] if emotions else [np.ones(len(records), dtype=bool)]
    parts = [_values(measure(task, mode, read.gold[rows], read.prediction[rows], np.ones((1, rows.sum()))))
             for rows in masks]  # fmt: skip
    scored["baselines"] |= _mean([{LEARNED: part} for part in parts])


def baselines_of(scored: Mapping[str, Any]) -> dict[str, Mapping[str, float | None]]:
    """{displayed name: metrics} from a task's entry in scores.MODE.json. Older versions have only the majority."""
    known = scored.get("baselines") or ({"majority": scored["majority"]} if scored.get("majority") else {})
    return {NAMES.get(name, name): of for name, of in known.items()}


def strongest(task: Task, scored: Mapping[str, Any], trained: bool = True) -> Baseline | None:
    """The baseline with the highest main metric, from a task's entry in scores.MODE.json; None without a baseline.

    trained: whether the learned baseline counts too.
    """
    values = {name: of.get(task.main_metric) for name, of in baselines_of(scored).items()}
    if not trained:
        values.pop(NAMES[LEARNED], None)
    found = [Baseline(name, value) for name, value in values.items() if value is not None]
    return max(found, key=lambda one: one.value, default=None)


def learned(task: Task, scored: Mapping[str, Any]) -> float | None:
    """The main metric of the learned baseline; None for a task without one, such as a task with pictures."""
    value = scored.get("baselines", {}).get(LEARNED, {}).get(task.main_metric)
    return None if value is None else float(value)


def beats_baselines(task: Task, scored: Mapping[str, Any], trained: bool = True) -> bool:
    """Whether the main metric's whole interval lies above the strongest baseline. trained: as for strongest()."""
    best, ends = strongest(task, scored, trained), figure(scored, task.main_metric).ends
    return best is not None and ends is not None and ends[0] > best.value
