"""Intensity drift: answers cluster in the middle of a scale, or on one number, while gold uses the whole scale.

For every number and ordinal (CFAPS_EI, EMOTIC_SI per dimension, CHSIMS_SI, SemEval EI and V) we measure the spread
relative to gold, the share of the most frequent answer, calibration, and the overlap of the two distributions.
Uncertainty alone narrows the answers: those of the best predictor with correlation r have r times the standard
deviation of gold. So the answers are compared with those that the run's own r implies (eval/diagnosis/implied.py). Only
parsed answers count: the value that scoring gives to an unparsed answer does not come from the model.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from eval.diagnosis.finding import Finding
from eval.diagnosis.implied import Implied, at_least, implied_by
from eval.score import metrics
from eval.score.answered import Answered
from eval.score.bootstrap import RESAMPLES, Measure, Values, distribution, interval
from eval.score.metrics import Array, Floats, number
from eval.score.paired import distinct, seed_of
from mmafflm.benchmark.grammar import Labels, Ordinal, Vad

TENTHS = 10
CHANCE = math.sqrt(2 / math.pi)  # the mean size of a normal error of standard deviation 1


class Series(NamedTuple):
    """The parsed answers on one scale: gold and prediction [n], and K equally spaced points of the scale.

    part: the dimension's name, or "" for a task with one scale. groups [n]: see groups_of().
    """

    answered: Answered
    part: str
    gold: Floats
    prediction: Floats
    ticks: Floats
    groups: Array

    def bins(self, values: Floats) -> Array:
        """The nearest tick of each value, [n]; halves round up, in spite of rounding errors."""
        step = self.ticks[1] - self.ticks[0]
        nearest: Array = np.floor((values - self.ticks[0]) / step + 0.5 + 1e-9).astype(int)
        return nearest


def series(answered: Answered) -> Iterator[Series]:
    """The scales of one task: no scale for labels, one for a number or an ordinal, else one for each dimension."""
    grammar = answered.task.grammar
    if isinstance(grammar, Labels):
        return
    parsed = np.array([row not in answered.read.unparsed for row in range(len(answered.records))], dtype=bool)
    gold, prediction = answered.read.gold[parsed], answered.read.prediction[parsed]
    groups = answered.groups[parsed]
    steps = int(grammar.high - grammar.low) if isinstance(grammar, Ordinal) else TENTHS
    ticks = np.linspace(grammar.low, grammar.high, steps + 1)
    if isinstance(grammar, Vad):
        for at, name in enumerate(grammar.dimensions):
            yield Series(answered, name, gold[:, at], prediction[:, at], ticks, groups)
    else:
        yield Series(answered, "", gold, prediction, ticks, groups)


def drift(tasks: Sequence[Answered], resamples: int = RESAMPLES) -> tuple[list[Finding], list[dict[str, Any]]]:
    """The findings, and for each scale the details that the report draws."""
    findings, details = [], []
    for one in (one for answered in tasks for one in series(answered)):
        if not len(one.gold):
            continue  # no answer was parsed, which the check "unparsed" reports
        seed = seed_of("drift", one.answered.name, one.part)
        rows = distinct(one.gold, [one.prediction], groups=one.groups)
        kept = one._replace(gold=rows.gold, prediction=rows.predictions[0])
        implied = implied_by(one.gold, one.prediction, one.ticks)
        measured = _measure(kept, _top(one.prediction), _top(one.gold), implied)
        whole = {name: number(found[0]) for name, found in measured(rows.counts[None, :]).items()}
        drawn = distribution(measured, rows.counts, resamples, seed, rows.members)
        ci95 = {name: interval(values) for name, values in drawn.items()}
        findings.extend(_findings(one, whole, ci95, implied))
        details.append(_detail(one, whole, ci95))
    return findings, details


def _top(values: Floats) -> float:
    """The most frequent value."""
    found, counts = np.unique(values, return_counts=True)
    return float(found[counts.argmax()])


def _measure(one: Series, top_answer: float, top_gold: float, implied: Implied) -> Measure:
    """A function from row counts [B, n] to the four values and the mean gold of each tick's answers ("gold_at_3")."""
    width = float(one.ticks[-1] - one.ticks[0])
    answers_by_tick = np.eye(len(one.ticks))[one.bins(one.prediction)]
    gold_by_tick = np.eye(len(one.ticks))[one.bins(one.gold)]
    repeated, own = (one.prediction == top_answer).astype(float), (one.gold == top_gold).astype(float)

    def measured(weights: Floats) -> Values:
        rows = weights.sum(1)
        answers_here, gold_here = weights @ answers_by_tick, weights @ gold_by_tick
        off = (one.gold - one.prediction)[:, None]
        missed = weights @ (answers_by_tick * off)
        with np.errstate(invalid="ignore", divide="ignore"):  # a tick without answers has no mean gold
            gold = (weights @ (answers_by_tick * one.gold[:, None])) / answers_here
            spread = _deviation(one.prediction, weights) / _deviation(one.gold, weights)
            spread = spread / at_least(metrics.pearson(one.gold, one.prediction, weights))
        explained = missed**2 / np.maximum(answers_here, 1)
        chance = np.sqrt(np.maximum(weights @ (answers_by_tick * off**2) - explained, 0.0))
        wanted = np.minimum(implied.shares, gold_here / rows[:, None]).sum(1)
        found = {
            "spread": np.where(np.isfinite(spread), spread, np.nan),
            "top_share": weights @ repeated / rows - np.maximum(weights @ own / rows, implied.shares.max()),
            "calibration": np.maximum(np.abs(missed) - CHANCE * chance, 0.0).sum(1) / rows / width,
            "overlap": np.minimum(answers_here, gold_here).sum(1) / rows / wanted,
        }
        return found | {f"gold_at_{tick}": gold[:, tick] for tick in range(len(one.ticks))}

    return measured


def _deviation(values: Floats, weights: Floats) -> Floats:
    values = values - values.mean()
    rows = weights.sum(1)
    deviation: Floats = np.sqrt(np.maximum(weights @ values**2 / rows - (weights @ values / rows) ** 2, 0.0))
    return deviation


def _findings(
    one: Series, whole: dict[str, float | None], ci95: dict[str, list[float] | None], implied: Implied
) -> list[Finding]:
    name = " ".join(filter(None, (one.answered.name, one.part)))
    top, share = _top(one.prediction), float((one.prediction == _top(one.prediction)).mean())
    gold_share = float((one.gold == _top(one.gold)).mean())
    deviations = f"standard deviation {one.prediction.std():.3f}, gold's {one.gold.std():.3f}"
    sentences = {
        "spread": f"{name}: the answers spread {_text(whole['spread'], ' times')} as wide as those of a calibrated "
        f"predictor with r = {implied.r:.2f} ({deviations}).",
        "top_share": f"{name}: {share:.0%} of the answers are {top:g}. Gold's most frequent value, {_top(one.gold):g}, "
        f"has a share of {gold_share:.0%}, and a calibrated predictor with the same r puts at most "
        f"{implied.shares.max():.0%} of its answers on one step.",
        "calibration": f"{name}: within a class or a tenth of the scale, mean gold differs from the mean answer by "
        f"{_text(whole['calibration'])} of the scale more than by chance, on average over the answers.",
        "overlap": f"{name}: the distributions of answers and gold overlap {_text(whole['overlap'], ' times')} "
        f"as much as for a calibrated predictor with r = {implied.r:.2f}.",
    }
    task = one.answered.task
    return [
        Finding(check, task.subset, task.key, one.part, whole[check], ci95[check], len(one.gold), sentence)
        for check, sentence in sentences.items()
    ]


def _text(value: float | None, unit: str = "") -> str:
    return f"{'(undefined)' if value is None else format(value, '.2f')}{unit}"


def _detail(one: Series, whole: dict[str, float | None], ci95: dict[str, list[float] | None]) -> dict[str, Any]:
    ticks = range(len(one.ticks))
    answers = np.bincount(one.bins(one.prediction), minlength=len(one.ticks))
    gold = np.bincount(one.bins(one.gold), minlength=len(one.ticks))
    return {
        "subset": one.answered.task.subset,
        "task": one.answered.task.key,
        "part": one.part,
        "n": len(one.gold),
        "ticks": [round(float(tick), 6) for tick in one.ticks],
        "answers": answers.tolist(),
        "gold": gold.tolist(),
        "mean_answer": [_mean(one.prediction[one.bins(one.prediction) == tick]) for tick in ticks],
        "mean_gold": [whole[f"gold_at_{tick}"] for tick in ticks],
        "mean_gold_ci95": [ci95[f"gold_at_{tick}"] for tick in ticks],
    }


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if len(values) else None
