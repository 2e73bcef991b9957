"""95% intervals from resamples. They hold with few rows and few groups, and stay within the metric's range.

Percentiles of the resamples are too narrow with few units (rows or groups), so they are widened about the score as
Student's t is. A mean over classes (macro F1, balanced accuracy) needs more: a sample of few rows lacks some classes,
which count as 0, so score and resamples lie below the truth, and the resamples spread too little. There the interval
is centre ± t * spread. The centre is the score without its bias, the mean of two estimates (bootstrap and jackknife:
one is too small, the other too large); the spread is the larger of theirs; t has as many degrees of freedom as a middle
class has rows, less one. The estimates are those of Efron and Tibshirani, An Introduction to the Bootstrap, 1993,
chapters 10 and 11; their combination was chosen by simulation (docs/reference/inference.md).
"""

import math
from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from eval.score.bootstrap import LeftOut, interval
from eval.score.metrics import CORRELATIONS, OF_CLASSES, Floats

_NORMAL = 1.959964  # the 97.5% quantile


class Sampled(NamedTuple):
    """A score, the same in every resample [B], and what it was resampled over.

    units: rows or groups. rows_per_class: of the middle class, gold and predicted; only for labels.
    """

    value: float
    drawn: Floats
    units: int
    rows_per_class: float = math.inf
    left_out: LeftOut | None = None


@cache
def _t(freedom: float) -> float:
    from scipy.special import stdtrit  # scipy.stats has the same function, and takes a second to import

    return float(stdtrit(freedom, 0.975))


def range_of(metric: str) -> tuple[float, float]:
    """The lowest and highest value that a metric can have."""
    if metric.partition("_")[0] in CORRELATIONS:
        return -1.0, 1.0
    return 0.0, math.inf if metric == "mae" else 1.0


def within(metric: str, low: float, high: float) -> list[float]:
    """The interval without what lies beyond the metric's range."""
    least, most = range_of(metric)
    return [max(low, least), min(high, most)]


def interval_of(metric: str, one: Sampled) -> list[float] | None:
    """The 95% interval of a score; it contains the score. None when that or all resamples are undefined."""
    ends = interval(one.drawn)
    if ends is None or not math.isfinite(one.value) or one.units < 2:
        return None
    if metric in OF_CLASSES:
        low, high = _of_classes(one)
    else:
        wider = _t(one.units - 1) / _NORMAL * math.sqrt(one.units / (one.units - 1))
        low, high = (one.value + (end - one.value) * wider for end in ends)
    return within(metric, min(low, one.value), max(high, one.value))


def _of_classes(one: Sampled) -> tuple[float, float]:
    drawn = one.drawn[np.isfinite(one.drawn)]
    biases, spread = [float(drawn.mean()) - one.value], float(drawn.std())
    if one.left_out is not None:
        values, times = one.left_out
        mean = float(times @ values) / one.units
        biases.append((one.units - 1) * (mean - one.value))
        spread = max(spread, math.sqrt((one.units - 1) / one.units * float(times @ (values - mean) ** 2)))
    centre = one.value - sum(biases) / len(biases)
    half = _t(max(min(one.units, one.rows_per_class) - 1, 2)) * spread
    return centre - half, centre + half


def mean_ends(
    metric: str, groups: Iterable[Iterable[tuple[float | None, Sequence[float] | None]]]
) -> tuple[float, float] | None:
    """The interval of the mean of scores, from each score and its interval; None when one has none.

    groups: those of on_the_same_rows(). Groups are independent; within a group the widths are added in full. It is
    centred on the mean of the intervals' middles, because the bias of few rows does not average out, and contains the
    mean.
    """
    found = [list(group) for group in groups]
    every = [one for group in found for one in group]
    values, ends = [value for value, _ in every if value is not None], [one for _, one in every if one]
    if len(values) < len(every) or len(ends) < len(every) or not every:
        return None
    mean, bounds = sum(values) / len(values), range_of(metric)
    far = []
    for side, bound in enumerate(bounds):
        # What was cut off at the end of the range is unknown, so an interval that ends there counts with its end.
        middles = [one[side] if one[side] == bound else (one[0] + one[1]) / 2 for one in ends]
        halves = [sum((one[1] - one[0]) / 2 for _, one in group if one and one[side] != bound) for group in found]
        far.append(sum(middles) / len(middles) + (2 * side - 1) * math.hypot(*halves) / len(middles))
    low, high = within(metric, min(far[0], mean), max(far[1], mean))
    return low, high
