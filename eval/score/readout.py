"""Readouts: how an answer is obtained from the model, from its own text or its distribution over admissible answers.

greedy       the text that the model writes by itself, as in the paper.
expectation  numbers and ordinals: the mean of the admissible values, each weighted by its answer's probability.
choice       labels: the likeliest for a single label; for a set, each label with a share at or above its threshold
             (thresholds.py).

A candidate's probability is that of its whole text and the end of the turn, normalised over the candidates: other
texts that the model could write do not count. The task's grammar renders the answer, so it is scored like any other.
This module reads no files and runs no model.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from eval.score.metrics import Floats
from mmafflm.benchmark.benchmark import Task
from mmafflm.benchmark.grammar import Gold, Labels, Number, Ordinal, Vad
from mmafflm.errors import UsageFault

READOUTS = ("greedy", "expectation", "choice")
POINTS = 11  # candidates of a number, ends included: steps of 0.1 on 0..1, or of 0.2 on -1..1 (as CHSIMS_SI's values)
VAD_POINTS = 10  # candidates of a dimension: EMOTIC's raters chose from 1..10, written as (x - 5.5) / 4.5
DECIMALS = 4  # of an expected value; expected values may be closer together than the numbers in the corpus


class Candidate(NamedTuple):
    """An admissible answer: its text as the corpus writes it, and its value as gold."""

    text: str
    value: Gold


def readout_of(task: Task, readout: str) -> str:
    """The readout that a run uses for this task: greedy when `readout` does not fit the task.

    Raises UsageFault for an unknown readout.
    """
    if readout not in READOUTS:
        raise UsageFault(f"--readout {readout}: not one of {', '.join(READOUTS)}")
    fits = isinstance(task.grammar, Labels) == (readout == "choice")
    return readout if fits else "greedy"


def needs_thresholds(task: Task) -> bool:
    """Whether several labels may be right at once."""
    return isinstance(task.grammar, Labels) and task.grammar.most > 1


@cache
def candidates(task: Task, emotion: str | None = None) -> tuple[Candidate, ...]:
    """The answers to compare: every label, every class, or an even grid over a scale.

    With several dimensions, one is varied at a time and the others stay at the middle of the raters' grid (0.111 on
    EMOTIC's -1..1), so each distribution is conditional on that middle. This takes 28 candidates instead of 1,000.
    """
    match task.grammar:
        case Labels() as labels:
            values: list[Gold] = [[name] for name in labels.names]
        case Ordinal() as ordinal:
            values = [number for number, _ in sorted(ordinal.classes)]
        case Vad() as vad:
            points = _grid(vad.low, vad.high, VAD_POINTS)
            middle = dict.fromkeys(vad.dimensions, points[VAD_POINTS // 2])
            varied = (middle | {name: point} for name in vad.dimensions for point in points if point != middle[name])
            values = [middle, *varied]
        case number:
            values = [*_grid(number.low, number.high, POINTS)]
    return tuple(Candidate(task.answer(value, emotion), value) for value in values)


def _grid(low: float, high: float, points: int) -> list[float]:
    return [round(low + (high - low) * at / (points - 1), 3) for at in range(points)]


def log_shares(logp: Sequence[float] | Sequence[Sequence[float]] | Floats) -> Floats:
    """ln of each candidate's share of the candidates' total probability, [candidates] or [rows, candidates]."""
    found = np.asarray(logp, dtype=float)
    top = found.max(-1, keepdims=True)
    shares: Floats = found - top - np.log(np.exp(found - top).sum(-1, keepdims=True))
    return shares


def read_out(
    task: Task, logp: Sequence[float], emotion: str | None = None, thresholds: Mapping[str, float | None] | None = None
) -> str:
    """The answer's text, from the log-likelihoods of candidates(task, emotion). thresholds: only for label sets."""
    match task.grammar:
        case Labels() as labels:
            shares = log_shares(logp)
            names = [labels.names[int(shares.argmax())]] if thresholds is None else choose(labels, shares, thresholds)
            return task.answer(names)
        case Ordinal() as ordinal:
            mean = _mean(*varied(task, "", np.asarray(logp)))
            nearest = min(sorted(number for number, _ in ordinal.classes), key=lambda number: abs(number - mean))
            return task.answer(nearest, emotion)
        case Vad() as vad:
            means = {name: _within(vad, _mean(*varied(task, name, np.asarray(logp)))) for name in vad.dimensions}
            return Vad(vad.dimensions, vad.low, vad.high, DECIMALS).render(means)
        case number:
            mean = _mean(*varied(task, "", np.asarray(logp)))
            return Number(number.low, number.high, DECIMALS).write(_within(number, mean))


def _mean(values: Floats, logp: Floats) -> float:
    return float(np.exp(log_shares(logp)) @ values)


def _within(scale: Number | Vad, value: float) -> float:
    """The value, clamped to the scale, because rounding may take it slightly outside."""
    return min(max(value, scale.low), scale.high)


def varied(task: Task, name: str, logp: Floats) -> tuple[Floats, Floats]:
    """The candidate values in ascending order, and their log-likelihoods [..., k].

    They are the values of a number, or those of the dimension `name` while the others stay at the middle. logp: the
    log-likelihoods of candidates(task), [candidates] or [rows, candidates].
    """
    known = [one.value for one in candidates(task)]
    middle = known[0]
    if isinstance(middle, dict):
        at = [
            place for place, one in enumerate(known) if isinstance(one, dict) and one | {name: middle[name]} == middle
        ]
        values = np.array([one[name] for one in known if isinstance(one, dict)])[at]
    else:
        at, values = list(range(len(known))), np.array(known, dtype=float)
    order = values.argsort()
    return values[order], logp[..., np.array(at)[order]]


def choose(labels: Labels, shares: Floats, thresholds: Mapping[str, float | None]) -> list[str]:
    """Choose labels of a set, from their log shares [labels]: each label at or above its threshold, if it has one.

    If no label passes, the one closest to its threshold is chosen. If more than `most` pass, those with the widest
    margins are chosen. Neutral is the whole answer if its margin is the widest, and otherwise left out, because the
    prompts offer it as an alternative to the other labels.
    """
    margins = {
        name: float(share) - level
        for name, share in zip(labels.names, shares, strict=True)
        if (level := thresholds[name]) is not None
    }
    best_first = sorted(margins, key=lambda name: -margins[name])
    if best_first[0] == "neutral":
        return ["neutral"]
    passed = [name for name in best_first if margins[name] >= 0 and name != "neutral"]
    return labels.sort(passed[: labels.most] or best_first[:1])
