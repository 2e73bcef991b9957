"""The design effect (Kish 1965): how much larger a score's variance is because rows of one group depend on each other.

Both variances are linearised: a score moves by the sum of its rows' influences, so its variance is their sum of
squares over rows, and that of the groups' sums over groups (Davison and Hinkley, Bootstrap Methods and their
Application, 1997, section 2.7.2). For a mean this is the clustered standard error of Liang and Zeger (1986).
"""

from collections.abc import Sequence

import numpy as np

from eval.score.metrics import Array, Floats

_CONSTANT = 1e-20  # a variance below it is rounding error of a score that no row moves


def design_effect(influences: Floats, groups: Array) -> float | None:
    """The variance over groups / over rows, from n rows; None when no row moves the score, or there is one group."""
    rows, units = len(influences), len(np.unique(groups))
    over_rows = float((influences**2).sum() * rows / (rows - 1)) if rows > 1 else 0.0
    if over_rows < _CONSTANT or units < 2:
        return None
    return float((np.bincount(groups, influences) ** 2).sum() * units / (units - 1) / over_rows)


def influences(gold: Array, prediction: Array, emotions: Sequence[str | None] | None = None) -> Floats:
    """How much each of n rows moves the main metric, but for one factor: the derivative by the row's weight.

    The metric is macro F1 for labels and Pearson's r for numbers; with `emotions`, the mean over the emotions. Classes
    or dimensions whose score is not defined, or a constant, do not move it.
    """
    of = _of_labels if gold.dtype == bool else _of_numbers
    if emotions is None:
        return of(gold, prediction)
    found, asked = np.zeros(len(gold)), np.array(emotions, dtype=object)
    for one in dict.fromkeys(emotions):
        found[asked == one] = of(gold[asked == one], prediction[asked == one])
    return found


def _of_labels(gold: Array, prediction: Array) -> Floats:
    """The F1 of a class is 2 hits / (wanted + given)."""
    hits, both = (gold & prediction).astype(float), gold.astype(float) + prediction
    below = both.sum(0)
    f1 = np.divide(2 * hits.sum(0), below, out=np.zeros_like(below), where=below > 0)
    found: Floats = (2 * hits - f1 * both) @ np.divide(1, below, out=np.zeros_like(below), where=below > 0)
    return found


def _of_numbers(gold: Array, prediction: Array) -> Floats:
    """Of standard scores a, b with the correlation r: a b - r (a^2 + b^2) / 2, divided by the rows."""
    rows = len(gold)
    gold, prediction = (one.astype(float).reshape(rows, -1) for one in (gold, prediction))
    moving = (np.ptp(gold, axis=0) > 0) & (np.ptp(prediction, axis=0) > 0)
    a, b = ((one - one.mean(0)) / one.std(0) for one in (gold[:, moving], prediction[:, moving]))
    found: Floats = (a * b - (a * b).mean(0) * (a**2 + b**2) / 2).sum(1) / rows
    return found
