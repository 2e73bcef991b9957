"""Label prior: answers that follow the frequency of labels (or the model's preferences) instead of the record.

Confusion matrices, classes that are never predicted, the most over-used label, and the score against three baselines
that do not read the record: always the majority label; labels drawn at gold's frequency; and the run's own answers
assigned to records at random. The macro F1 of the last two uses expected hits: with n rows, w gold labels and g
predicted labels of a class, w * g / n agree by chance.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from eval.diagnosis.finding import LEVEL, Finding
from eval.diagnosis.implied import implied_by
from eval.score import metrics
from eval.score.answered import Answered
from eval.score.bootstrap import RESAMPLES, Values, distribution, interval
from eval.score.groups import members
from eval.score.metrics import Bools, Counts, Floats, label_counts, number
from eval.score.paired import distinct, seed_of
from mmafflm.benchmark.grammar import Labels, Ordinal

LEAST_GOLD = 10  # gold rows of a class; a class with fewer rows may remain unpredicted by chance


def prior(tasks: Sequence[Answered], resamples: int = RESAMPLES) -> tuple[list[Finding], list[dict[str, Any]]]:
    """The findings, and for each task its confusion matrix. Ordinals count as classes too."""
    findings, details = [], []
    for one in tasks:
        if not isinstance(one.task.grammar, Labels | Ordinal):
            continue
        names, gold, prediction = classes(one)
        findings.append(_never(one, names, gold, prediction))
        baselines: dict[str, float] = {}
        if isinstance(one.task.grammar, Labels):
            findings.append(_overpredicted(one, names, gold, prediction, resamples))
            value, ci95, sentence = lift(one, one.name, resamples)
            findings.append(Finding("lift", one.task.subset, one.task.key, "", value, ci95, len(gold), sentence))
            counts = label_counts(gold, prediction)
            baselines = {name: float(found[0]) for name, found in _baselines(counts).items()}
            baselines["score"] = float(metrics.macro_f1(counts)[0])
        details.append(_detail(one, names, gold, prediction) | {"n": len(gold), "macro_f1": baselines})
    return findings, details


def classes(one: Answered) -> tuple[tuple[str, ...], Bools, Bools]:
    """The names of the classes, and gold and prediction as [n, classes]; an unparsed answer has no class."""
    grammar, read = one.task.grammar, one.read
    if isinstance(grammar, Labels):
        return grammar.names, read.gold.astype(bool), read.prediction.astype(bool)
    assert isinstance(grammar, Ordinal)
    numbers = np.array([number for number, _ in grammar.classes])
    prediction: Bools = read.prediction[:, None] == numbers
    prediction[list(read.unparsed)] = False
    return tuple(f"{number:g}" for number in numbers), read.gold[:, None] == numbers, prediction


def lift(one: Answered, name: str, resamples: int) -> tuple[float | None, list[float] | None, str]:
    """The difference of macro F1 to the best of the three baselines, its interval, and a sentence."""
    rows = distinct(one.read.gold, [one.read.prediction], groups=one.groups)

    def measured(weights: Floats) -> Values:
        counts = label_counts(rows.gold, rows.predictions[0], weights)
        best = np.max(list(_baselines(counts).values()), axis=0)
        return {"lift": metrics.macro_f1(counts) - best}

    counts = label_counts(one.read.gold, one.read.prediction)
    baselines = {kind: float(value[0]) for kind, value in _baselines(counts).items()}
    score = float(metrics.macro_f1(counts)[0])
    best = max(baselines, key=lambda kind: baselines[kind])
    drawn = distribution(measured, rows.counts, resamples, seed_of("lift", name, one.task.key), rows.members)
    sentence = f"{name}: macro F1 {score:.3f}, {score - baselines[best]:+.3f} against {best} ({baselines[best]:.3f})."
    return number(score - baselines[best]), interval(drawn["lift"]), sentence


def _baselines(counts: Counts) -> dict[str, Floats]:
    """Macro F1 [B] of the three baselines that do not read the record."""
    rows = np.maximum(counts.rows, 1)[:, None]
    majority = (counts.wanted == counts.wanted.max(1, keepdims=True)).astype(float)
    majority = np.where(majority.cumsum(1) == 1, majority, 0.0) * rows  # the first of equally frequent labels
    given = {
        "the majority label": majority,
        "labels at gold's frequency": counts.wanted,
        "its own answers dealt out at random": counts.given,
    }
    return {
        name: metrics.macro_f1(counts._replace(hits=counts.wanted * labels / rows, given=labels))
        for name, labels in given.items()
    }


def _never(one: Answered, names: Sequence[str], gold: Bools, prediction: Bools) -> Finding:
    """The classes that are never predicted, and the probability of that (Poisson) at the expected rate of the class.

    The lower end of the interval counts the classes whose absence chance does not explain. p is the smallest of these
    probabilities.
    """
    frequent = np.flatnonzero(gold.sum(0) >= LEAST_GOLD).tolist()
    missed = [at for at in frequent if not prediction[:, at].any()]
    chances = {at: min(1.0, len(frequent) * math.exp(-_expected(one, gold, at))) for at in missed}
    value, ci95 = None, None
    if total := len(frequent):
        value = len(missed) / total
        ci95 = [sum(p < LEVEL for p in chances.values()) / total, value]
    said = f"no class has {LEAST_GOLD} gold rows or more"
    if total:
        of = f"{total} classes with {LEAST_GOLD} gold rows or more"
        each = ", ".join(f"{names[at]} (by chance: p {p:.2g})" for at, p in chances.items())
        said = f"{len(missed)} of the {of} are never predicted: {each}" if missed else f"all {of} are predicted"
    sentence = f"{one.name}: {said}."
    data = {"never_predicted": [names[at] for at in missed]}
    own_p = min(chances.values(), default=1.0)
    return Finding("never_predicted", one.task.subset, one.task.key, "", value, ci95, len(gold), sentence, data, own_p)


def _expected(one: Answered, gold: Bools, at: int) -> float:
    """The expected number of answers of a class: as in gold; for an ordinal, as a calibrated predictor answers."""
    parsed = np.array([row not in one.read.unparsed for row in range(len(gold))])
    if not isinstance(one.task.grammar, Ordinal):
        return float(gold[parsed, at].sum())
    ticks = np.array(sorted(number for number, _ in one.task.grammar.classes), dtype=float)
    implied = implied_by(one.read.gold[parsed], one.read.prediction[parsed], ticks)
    number = one.task.grammar.classes[at][0]
    return float(implied.shares[ticks == number][0] * parsed.sum())


def _overpredicted(one: Answered, names: Sequence[str], gold: Bools, prediction: Bools, resamples: int) -> Finding:
    excess = prediction.mean(0) - gold.mean(0)
    most = int(excess.argmax())
    patterns, place, counts = np.unique(
        np.column_stack([prediction[:, most], gold[:, most]]).astype(float), axis=0, return_inverse=True,
        return_counts=True,
    )  # fmt: skip

    def measured(weights: Floats) -> Values:
        return {"excess": weights @ (patterns[:, 0] - patterns[:, 1]) / weights.sum(1)}

    seed, groups = seed_of("overpredicted", one.name), members(one.groups, place.ravel())
    drawn = distribution(measured, counts.astype(float), resamples, seed, groups)
    sentence = (
        f"{one.name}: {prediction[:, most].mean():.0%} of the rows are answered with {names[most]}, "
        f"{gold[:, most].mean():.0%} have it in gold."
    )
    return Finding("overpredicted", one.task.subset, one.task.key, "", float(excess[most]), interval(drawn["excess"]),
                   len(gold), sentence, {"label": names[most]})  # fmt: skip


def _detail(one: Answered, names: Sequence[str], gold: Bools, prediction: Bools) -> dict[str, Any]:
    """The confusion matrix [gold class, predicted class]; its last column counts answers without a class.

    A row with several labels counts once for each pair of a gold label and a predicted label.
    """
    none = ~prediction.any(1)
    counts = np.column_stack([gold.T.astype(int) @ prediction.astype(int), gold.T.astype(int) @ none.astype(int)])
    return {
        "subset": one.task.subset,
        "task": one.task.key,
        "classes": list(names),
        "confusion": counts.tolist(),
        "gold_rows": gold.sum(0).tolist(),
        "answered_rows": prediction.sum(0).tolist(),
        "unparsed": int(none.sum()),
    }
