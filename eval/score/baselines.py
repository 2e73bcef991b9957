"""What answers are worth that need no model, so that a score can be compared with the best of them.

majority     always the most frequent gold label or class.
median       of numbers, always their median.
prior        gold's own answers dealt out at random: what that scores on average.
all_labels   of label sets, every label.
tfidf        a linear model of character n-grams, trained on the subset's training split (eval/score/learned.py).

A constant or a random answer has no correlation; it counts as 0.
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
    """A baseline's name for people, and its value of a metric."""

    name: str
    value: float

    def __str__(self) -> str:
        return f"{self.value:.3f} {self.name}"


def trivial(
    task: Task, mode: str, gold: Array, emotions: Sequence[str | None] | None = None
) -> dict[str, dict[str, float]]:
    """Every metric of every baseline that needs no training; with `emotions`, the mean over the emotions."""
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
    """With the expected counts: of w rows that have a label, w * w / n are hit; a set of share s is right with s."""
    rows = len(gold)
    wanted = gold.astype(float).sum(0)[None]
    _, sets = np.unique(gold, axis=0, return_counts=True)
    right = np.array([(sets.astype(float) ** 2).sum() / rows])
    counts = metrics.Counts(wanted**2 / rows, wanted, wanted, right, np.array([float(rows)]))
    return _values(of_counts(task, mode, counts))


def _prior(found: Mapping[str, Mapping[str, float]], task: Task, gold: Array) -> dict[str, float]:
    """No correlation, the mean distance of two gold values and, of ordinals, the share of equal ones."""
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
    """Add the learned baseline to a task's entry in scores.MODE.json, or why it has none."""
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
    """{name for people: metrics} of a task's entry in scores.MODE.json; older versions only have the majority."""
    known = scored.get("baselines") or ({"majority": scored["majority"]} if scored.get("majority") else {})
    return {NAMES.get(name, name): of for name, of in known.items()}


def strongest(task: Task, scored: Mapping[str, Any], trained: bool = True) -> Baseline | None:
    """The baseline with the highest main metric, from a task's entry in scores.MODE.json; None without any.

    trained: the learned one counts too.
    """
    values = {name: of.get(task.main_metric) for name, of in baselines_of(scored).items()}
    if not trained:
        values.pop(NAMES[LEARNED], None)
    found = [Baseline(name, value) for name, value in values.items() if value is not None]
    return max(found, key=lambda one: one.value, default=None)


def learned(task: Task, scored: Mapping[str, Any]) -> float | None:
    """The main metric of the learned baseline; None where the data has no training split of texts."""
    value = scored.get("baselines", {}).get(LEARNED, {}).get(task.main_metric)
    return None if value is None else float(value)


def beats_baselines(task: Task, scored: Mapping[str, Any], trained: bool = True) -> bool:
    """Whether the main metric's whole interval lies above the strongest baseline."""
    best, ends = strongest(task, scored, trained), figure(scored, task.main_metric).ends
    return best is not None and ends is not None and ends[0] > best.value
