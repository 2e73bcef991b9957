"""Metrics on arrays of n rows, for B weightings of the rows at once, which makes 1,000 resamples fast.

`weights` [B, n] say how often each row counts, and every metric has shape [B]. Without weights each row counts once,
and B is 1. The metrics of labels are functions of Counts. The definitions are those of scikit-learn and scipy, except
ccc (Lin's formula) and macro_f1_supported (ours). tests/eval/score/test_metrics.py compares the results.
Labels are boolean matrices [n, classes]; a row without a label (an unparsed answer) is all False.
NaN means that the metric is not defined.
"""

import math
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]
Array: TypeAlias = NDArray[Any]

# Keys of metrics in the scores, by which intervals.py chooses the form and the range of an interval. Of a correlation
# only the part before the first _ counts: pearson_valence is a pearson.
OF_CLASSES = ("macro_f1", "macro_f1_supported", "balanced_accuracy")  # means over classes
CORRELATIONS = ("pearson", "spearman", "ccc", "qwk")  # from -1 to 1; the others do not go below 0


def _weights(rows: int, weights: Floats | None) -> Floats:
    return np.ones((1, rows)) if weights is None else weights


def _ratio(above: Floats, below: Floats, otherwise: float = np.nan) -> Floats:
    """above / below; `otherwise` wherever `below` is 0."""
    result: Floats = np.divide(above, below, out=np.full(np.broadcast(above, below).shape, otherwise), where=below > 0)
    return result


def _correlation(x: Floats, y: Floats, weights: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Weighted (covariance, variance of x, variance of y, difference of means), [B] each; x and y are [n].

    A variance within rounding error is set to 0, so that a constant is recognised.
    """
    shift_x, shift_y = x[0], y[0]
    x, y = x - shift_x, y - shift_y
    sums = (weights @ np.column_stack([x, y, x * x, y * y, x * y])).T
    mean_x, mean_y, square_x, square_y, product = sums / weights.sum(1)
    variance_x, variance_y = square_x - mean_x**2, square_y - mean_y**2
    variance_x[variance_x <= 1e-12 * square_x] = 0.0
    variance_y[variance_y <= 1e-12 * square_y] = 0.0
    return product - mean_x * mean_y, variance_x, variance_y, mean_x - mean_y + (shift_x - shift_y)


def pearson(gold: Floats, prediction: Floats, weights: Floats | None = None) -> Floats:
    """Pearson's r; NaN when either side is constant."""
    covariance, variance_x, variance_y, _ = _correlation(gold, prediction, _weights(len(gold), weights))
    return _ratio(covariance, np.sqrt(variance_x * variance_y))


class _Levels(NamedTuple):
    """The distinct values (levels) of a column, ascending.

    of [n]: each row's level. order [n]: the rows sorted by level. starts: in `order`, the position of each
    level's first row.
    """

    of: Array
    order: Array
    starts: Array

    @classmethod
    def find(cls, values: Floats) -> "_Levels":
        _, of = np.unique(values, return_inverse=True)
        order = np.argsort(of, kind="stable")
        return cls(of, order, np.searchsorted(of[order], np.arange(of.max() + 1)))

    def ranks(self, weights: Floats) -> tuple[Floats, Floats]:
        """Each row's average rank minus the mean rank, [n, B], and the variance of the ranks [B]. weights [n, B]."""
        size = np.add.reduceat(weights[self.order], self.starts, axis=0)
        total = size.sum(0)
        rank: Floats = np.cumsum(size, axis=0) - (size + total) / 2
        variance: Floats = np.einsum("lb,lb,lb->b", size, rank, rank) / total
        return rank[self.of], variance


def spearman(gold: Floats, prediction: Floats, weights: Floats | None = None) -> Floats:
    """Spearman's rank correlation with averaged ties. Each resample has its own ranks. NaN when a side is constant."""
    weights, sides, pieces = _weights(len(gold), weights), [_Levels.find(gold), _Levels.find(prediction)], []
    for start in range(0, len(weights), 100):  # ranks are [n, B]; those of 100 weightings fit into the cache
        part = np.ascontiguousarray(weights[start : start + 100].T)
        (x, variance_x), (y, variance_y) = (side.ranks(part) for side in sides)
        x *= part
        pieces.append(_ratio(np.einsum("nb,nb->b", x, y) / part.sum(0), np.sqrt(variance_x * variance_y)))
    return np.concatenate(pieces)


def mae(gold: Floats, prediction: Floats, weights: Floats | None = None) -> Floats:
    """Mean absolute error."""
    weights = _weights(len(gold), weights)
    error: Floats = weights @ np.abs(gold - prediction) / weights.sum(1)
    return error


def ccc(gold: Floats, prediction: Floats, weights: Floats | None = None) -> Floats:
    """Lin's concordance correlation; 0 for a constant prediction, NaN when both sides are the same constant."""
    covariance, variance_x, variance_y, apart = _correlation(gold, prediction, _weights(len(gold), weights))
    return _ratio(2 * covariance, variance_x + variance_y + apart**2)


def qwk(gold: Floats, prediction: Floats, weights: Floats | None = None) -> Floats:
    """Cohen's kappa with quadratic weights on the class numbers; NaN when both sides are the same constant."""
    weights = _weights(len(gold), weights)
    total = weights.sum(1)
    mean_x, mean_y = weights @ gold / total, weights @ prediction / total
    observed = weights @ (gold - prediction) ** 2 / total
    expected = weights @ (gold**2 + prediction**2) / total - 2 * mean_x * mean_y
    return 1 - _ratio(observed, expected)


class Counts(NamedTuple):
    """Counts under each weighting. hits, wanted, given [B, classes]: true positives, gold and predicted labels.

    right, rows [B]: rows with exactly the right labels, all rows.
    """

    hits: Floats
    wanted: Floats
    given: Floats
    right: Floats
    rows: Floats


def label_counts(gold: Bools, prediction: Bools, weights: Floats | None = None) -> Counts:
    """The counts for all metrics of labels, in one matrix product. Single precision is exact up to 16 million rows."""
    classes = gold.shape[1]
    columns = np.column_stack([gold & prediction, gold, prediction, (gold == prediction).all(1)]).astype(np.float32)
    weights = _weights(len(gold), weights)
    found = (weights.astype(np.float32) @ columns).astype(float)
    return Counts(
        found[:, :classes], found[:, classes : 2 * classes], found[:, 2 * classes : -1], found[:, -1], weights.sum(1)
    )


def accuracy(counts: Counts) -> Floats:
    """The share of rows with exactly the right label set (subset accuracy); plain accuracy for single labels."""
    return _ratio(counts.right, counts.rows)


def micro_f1(counts: Counts) -> Floats:
    """F1 over all decisions of all classes; 0 when neither gold nor predictions have a label."""
    return _ratio(2 * counts.hits.sum(1), counts.wanted.sum(1) + counts.given.sum(1), 0.0)


def macro_f1(counts: Counts, zero_division: float | None = 0.0) -> Floats:
    """The mean of the classes' F1. A class that occurs neither in gold nor in predictions counts as `zero_division`.

    None leaves such classes out, in each resample those that it lacks, as scikit-learn does with labels=None.
    """
    below = counts.wanted + counts.given
    scores = _ratio(2 * counts.hits, below, 0.0 if zero_division is None else zero_division)
    if zero_division is None:
        return _ratio(scores.sum(1), (below > 0).sum(1).astype(float))
    mean: Floats = scores.mean(1)
    return mean


def macro_f1_supported(counts: Counts) -> Floats:
    """The mean F1 over the classes that occur in gold. A perfect model scores 1 even if a sample lacks classes."""
    scores = _ratio(2 * counts.hits, counts.wanted + counts.given, 0.0) * (counts.wanted > 0)
    return _ratio(scores.sum(1), (counts.wanted > 0).sum(1).astype(float))


def rows_per_class(counts: Counts) -> float:
    """Gold rows plus predicted rows of each class that occurs in gold: their median, in the first weighting."""
    there = counts.wanted[0] > 0
    return float(np.median((counts.wanted + counts.given)[0][there])) if there.any() else 0.0


def balanced_accuracy(counts: Counts) -> Floats:
    """The mean recall over the classes that occur in gold."""
    recall = _ratio(counts.hits, counts.wanted, 0.0)
    return _ratio(recall.sum(1), (counts.wanted > 0).sum(1).astype(float))


def weighted_jaccard(counts: Counts) -> Floats:
    """The mean Jaccard index of the classes, weighted by gold rows; 0 without gold labels.

    This is scikit-learn's jaccard_score(average="weighted").
    """
    jaccard = _ratio(counts.hits, counts.wanted + counts.given - counts.hits, 0.0)
    return _ratio((jaccard * counts.wanted).sum(1), counts.wanted.sum(1), 0.0)


def number(value: float) -> float | None:
    """The value for JSON; None when it is not finite."""
    return float(value) if math.isfinite(value) else None
