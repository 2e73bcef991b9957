"""The design effect (Kish 1965): a score's variance over groups of dependent rows, divided by that over single rows.

Both variances are linearised: a score changes by the sum of its rows' influences. So its variance over rows is the sum
of their squares, and its variance over groups is the sum of the squares of the groups' sums (Davison and Hinkley,
Bootstrap Methods and their Application, 1997, section 2.7.2). For a mean, the square root of the latter is the
clustered standard error of Liang and Zeger (1986).
"""

from collections.abc import Sequence

import numpy as np

from eval.score.metrics import Array, Floats

_CONSTANT = 1e-20  # a smaller variance is the rounding error of a score that does not depend on any row


def design_effect(influences: Floats, groups: Array) -> float | None:
    """The variance over groups / that over rows, from n influences. None when all are about 0 or there is one group."""
    rows, units = len(influences), len(np.unique(groups))
    over_rows = float((influences**2).sum() * rows / (rows - 1)) if rows > 1 else 0.0
    if over_rows < _CONSTANT or units < 2:
        return None
    return float((np.bincount(groups, influences) ** 2).sum() * units / (units - 1) / over_rows)


def influences(gold: Array, prediction: Array, emotions: Sequence[str | None] | None = None) -> Floats:
    """The influence of each of n rows on the main metric, its derivative by the row's weight, up to a common factor.

    The metric is macro F1 for labels and Pearson's r for numbers. Classes or dimensions whose score is not defined have
    no influence, and neither have constant numbers. With `emotions` each emotion has its own metric.
    """
    of = _of_labels if gold.dtype == bool else _of_numbers
    if emotions is None:
        return of(gold, prediction)
    found, asked = np.zeros(len(gold)), np.array(emotions, dtype=object)
    for one in dict.fromkeys(emotions):
        found[asked == one] = of(gold[asked == one], prediction[asked == one])
    return found


def _of_labels(gold: Array, prediction: Array) -> Floats:
    """The influences on macro F1, where the F1 of a class is 2 hits / (wanted + given)."""
    hits, both = (gold & prediction).astype(float), gold.astype(float) + prediction
    below = both.sum(0)
    f1 = np.divide(2 * hits.sum(0), below, out=np.zeros_like(below), where=below > 0)
    found: Floats = (2 * hits - f1 * both) @ np.divide(1, below, out=np.zeros_like(below), where=below > 0)
    return found


def _of_numbers(gold: Array, prediction: Array) -> Floats:
    """The influences on Pearson's r: a b - r (a^2 + b^2) / 2 for standard scores a and b, divided by the rows."""
    rows = len(gold)
    gold, prediction = (one.astype(float).reshape(rows, -1) for one in (gold, prediction))
    moving = (np.ptp(gold, axis=0) > 0) & (np.ptp(prediction, axis=0) > 0)
    a, b = ((one - one.mean(0)) / one.std(0) for one in (gold[:, moving], prediction[:, moving]))
    found: Floats = (a * b - (a * b).mean(0) * (a**2 + b**2) / 2).sum(1) / rows
    return found
