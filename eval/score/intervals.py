"""95% intervals from resamples. They are valid also for few rows and few groups, and stay within the metric's range.

Percentiles of the resamples are too narrow with few units (rows or groups), so they are widened around the score as
Student's t is wider than the normal distribution. A mean over classes (macro F1, balanced accuracy) needs more: a
sample of few rows lacks some classes, which count as 0. So the score and the resamples lie below the true value, and
the spread of the resamples is too small. For these metrics the interval is centre ± t * spread:

centre  the score minus its estimated bias. The bias is the mean of two estimates, of which the bootstrap's is too small
        and the jackknife's too large.
spread  the larger of the two estimates of the standard deviation.
t       has as many degrees of freedom as a class of median size has rows, minus one.

The estimates are those of Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 10 and 11. Their
combination was chosen by simulation (docs/reference/inference.md). With many units there is no jackknife, and the
bootstrap's estimates are used alone.
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
    """A score, drawn [B]: the score in every resample, and the number of units (rows or groups) that were resampled.

    rows_per_class: see rows_per_class() in eval/score/metrics.py; only for labels.
    """

    value: float
    drawn: Floats
    units: int
    rows_per_class: float = math.inf
    left_out: LeftOut | None = None


@cache
def _t(freedom: float) -> float:
    from scipy.special import stdtrit  # scipy.stats has the same function but takes a second to import

    return float(stdtrit(freedom, 0.975))


def range_of(metric: str) -> tuple[float, float]:
    """The lowest and the highest value that a metric can have."""
    if metric.partition("_")[0] in CORRELATIONS:
        return -1.0, 1.0
    return 0.0, math.inf if metric == "mae" else 1.0


def within(metric: str, low: float, high: float) -> list[float]:
    """The interval, cut to the metric's range."""
    least, most = range_of(metric)
    return [max(low, least), min(high, most)]


def interval_of(metric: str, one: Sampled) -> list[float] | None:
    """The 95% interval of a score, which contains the score.

    None when the score or all resamples are undefined, and for fewer than two units.
    """
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
    """The interval of the mean of scores, from each score and its interval. None when a score or interval is missing.

    groups: (score, interval) pairs in the groups of on_the_same_rows(). Groups count as independent; within a group the
    widths are added in full. The interval contains the mean. It is centred on the mean of the intervals' middles,
    because the bias of few rows does not average out.
    """
    found = [list(group) for group in groups]
    every = [one for group in found for one in group]
    values, ends = [value for value, _ in every if value is not None], [one for _, one in every if one]
    if len(values) < len(every) or len(ends) < len(every) or not every:
        return None
    mean, bounds = sum(values) / len(values), range_of(metric)
    far = []
    for side, bound in enumerate(bounds):
        # An interval that ends at the end of the range was cut there, so its middle is unknown and its end counts.
        middles = [one[side] if one[side] == bound else (one[0] + one[1]) / 2 for one in ends]
        halves = [sum((one[1] - one[0]) / 2 for _, one in group if one and one[side] != bound) for group in found]
        far.append(sum(middles) / len(middles) + (2 * side - 1) * math.hypot(*halves) / len(middles))
    low, high = within(metric, min(far[0], mean), max(far[1], mean))
    return low, high
