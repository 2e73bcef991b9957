"""The paired permutation test: how large would B - A be if A's and B's answers were swapped at random?

If two runs are equally good and make the same kinds of errors, swapping their answers to a row changes B - A only by
chance. A permutation swaps each row with probability 1/2, or each group of rows (a dialogue, a film) as a whole. All
metrics are functions of sums over rows (labels: hits, predicted labels, correct rows; numbers: moments). So a
permutation adds up the two runs' differences in the swapped rows, and one matrix product computes all permutations.

The bootstrap is not used as a test: with few rows, its spread of B - A is too small (docs/reference/inference.md).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from eval.score import metrics
from eval.score.bootstrap import Values
from eval.score.measure import of_counts
from eval.score.metrics import Array, Bools, Floats, number
from mmafflm.benchmark.benchmark import Task
from mmafflm.benchmark.grammar import Labels, Vad

PERMUTATIONS = 10_000
LEAST_TESTED = 50  # rows; with fewer there is no p-value
# Differences below this are rounding errors and count as 0. A matrix product may add equal columns in another order. An
# error with the same sign in every permutation would make two equal runs differ significantly.
ROUNDING = 1e-9
_CHUNK = 4_000_000  # swaps at a time, 16 MB in single precision


class _Sums(NamedTuple):
    """What the metrics of a run are computed from: K columns [n, K]. Only their sums over rows matter."""

    columns: Array
    metrics: Callable[[Floats], Values]  # sums [B, K] -> every metric [B]


class SwappedRuns:
    """R runs on the same n rows: their metrics, and the difference of any two under the same random swaps.

    gold and predictions have the form of eval/score/measure.py. emotions [n]: each emotion is scored separately, and
    the score is the mean over the emotions. groups [n]: rows with the same number are swapped together; None: each row
    is swapped alone.
    """

    def __init__(
        self, task: Task, mode: str, gold: Array, predictions: Sequence[Array],
        emotions: Array | None = None, groups: Array | None = None,
    ) -> None:  # fmt: skip
        sums = [_sums(task, mode, gold, one, emotions) for one in predictions]
        self._metrics = sums[0].metrics
        self._whole = [one.columns.sum(0) for one in sums]
        self._apart = [_grouped(one.columns - sums[0].columns, groups) for one in sums[1:]]
        self._moved: list[Floats] = []

    def values(self, run: int) -> Values:
        """Every metric of a run, [1]."""
        return self._metrics(self._whole[run][None])

    def draw(self, permutations: int, seed: int) -> None:
        """Draw the swaps that difference() uses; the same arguments give the same swaps."""
        if not self._apart:
            return
        apart = np.concatenate(self._apart, axis=1)
        apart = apart[apart.any(1)]  # a row that all runs answer alike changes nothing
        rng = np.random.default_rng(seed)
        moved = np.zeros((permutations, apart.shape[1]), apart.dtype)
        if len(apart):
            np.concatenate(
                [swaps.astype(apart.dtype) @ apart for swaps in _swaps(permutations, len(apart), rng)], out=moved
            )
        self._moved = np.split(moved, len(self._apart), axis=1)

    def difference(self, a: int, b: int) -> dict[str, Floats]:
        """Every metric of b minus a, [1 + permutations]: first without swaps, then with each of draw()'s swaps."""
        swapped: Floats = self._sum_of(b) - self._sum_of(a)
        moved = np.concatenate([np.zeros((1, swapped.shape[1])), swapped])
        left, right = self._metrics(self._whole[a] + moved), self._metrics(self._whole[b] - moved)
        found = {name: right[name] - left[name] for name in right}
        for drawn in found.values():
            drawn[np.abs(drawn) < ROUNDING] = 0.0
        return found

    def _sum_of(self, run: int) -> Floats:
        moved: Floats = (self._moved[run - 1] if run else np.zeros_like(self._moved[0])).astype(float)
        return moved


def _swaps(permutations: int, rows: int, rng: np.random.Generator) -> Iterator[Array]:
    """Random bits [chunk, rows] for all permutations, as 0 and 1."""
    chunk, wide = max(1, _CHUNK // rows), -(-rows // 8)
    for start in range(0, permutations, chunk):
        count = min(chunk, permutations - start)
        drawn = np.frombuffer(rng.bytes(count * wide), dtype=np.uint8).reshape(count, wide)
        yield np.unpackbits(drawn, axis=1, count=rows)


def _grouped(columns: Floats, groups: Array | None) -> Floats:
    """The sums over each group of rows, [groups, K]."""
    if groups is None:
        return columns
    known, codes = np.unique(groups, return_inverse=True)
    if len(known) == len(columns):
        return columns
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    found: Floats = np.add.reduceat(columns[order], starts, axis=0)
    return found


def _sums(task: Task, mode: str, gold: Array, prediction: Array, emotions: Array | None) -> _Sums:
    if isinstance(task.grammar, Labels):
        return _of_labels(task, mode, gold.astype(bool), prediction.astype(bool))
    gold, prediction = (one.astype(float).reshape(len(gold), -1) for one in (gold, prediction))
    everywhere = np.ones(len(gold), dtype=bool)
    masks = [everywhere] if emotions is None else [emotions == one for one in np.unique(emotions)]
    parts = [_of_numbers(mode, gold[:, at], prediction[:, at], mask) for mask in masks for at in range(gold.shape[1])]
    names = task.grammar.dimensions if isinstance(task.grammar, Vad) else ()

    def measured(sums: Floats) -> Values:
        found = [one.metrics(part) for one, part in zip(parts, np.split(sums, len(parts), axis=1), strict=True)]
        whole = {name: np.mean([one[name] for one in found], axis=0) for name in found[0]}
        return whole | {f"pearson_{name}": one["pearson"] for name, one in zip(names, found, strict=False)}

    return _Sums(np.concatenate([one.columns for one in parts], axis=1), measured)


def _of_labels(task: Task, mode: str, gold: Bools, prediction: Bools) -> _Sums:
    """The sums for labels, in single precision, which counts exactly up to 16 million rows."""
    classes, rows = gold.shape[1], float(len(gold))
    columns = np.column_stack([gold & prediction, prediction, (gold == prediction).all(1)]).astype(np.float32)
    wanted = gold.sum(0).astype(float)

    def measured(sums: Floats) -> Values:
        sums = sums.astype(float)
        counts = metrics.Counts(
            sums[:, :classes], np.broadcast_to(wanted, (len(sums), classes)), sums[:, classes:-1], sums[:, -1],
            np.full(len(sums), rows),
        )  # fmt: skip
        return of_counts(task, mode, counts)

    return _Sums(columns, measured)


def _of_numbers(mode: str, gold: Floats, prediction: Floats, mask: Bools) -> _Sums:
    """The sums for Pearson's r and the mean absolute error of the rows in `mask`; the other rows count as 0."""
    rows, centre = float(mask.sum()), float(gold[mask].mean())
    x, y = (np.where(mask, one - centre, 0.0) for one in (gold, prediction))
    columns = np.column_stack([y, y * y, x * y, np.where(mask, np.abs(gold - prediction), 0.0)])
    variance_x = float((x * x).sum() / rows)  # x has mean 0
    variance_x = 0.0 if np.ptp(gold[mask]) == 0 else variance_x

    def measured(sums: Floats) -> Values:
        mean_y, square_y, product, off = sums.T / rows
        variance_y = square_y - mean_y**2
        variance_y[variance_y <= 1e-12 * square_y] = 0.0
        below = np.sqrt(variance_x * variance_y)
        pearson = np.divide(product, below, out=np.full(len(sums), np.nan), where=below > 0)
        return {"pearson": pearson} if mode == "paper" else {"pearson": np.nan_to_num(pearson, nan=0.0), "mae": off}

    return _Sums(columns, measured)


class Judged(NamedTuple):
    """B - A, its 95% interval, and the two-sided p. A value is None when it is undefined.

    p is also None for fewer than LEAST_TESTED rows. The interval comes from the test, so it contains 0 exactly when p
    is above 0.05.
    """

    difference: float | None
    ci95: list[float] | None
    p: float | None


def judge(drawn: Floats, rows: int) -> Judged:
    """Test a difference. drawn: the observed difference, then that of each permutation; rows: the number of rows.

    p is the share of `drawn` at least as far from 0 as the observed difference, which is counted too. If no permutation
    is as far, p would be 1 / (1 + permutations), too coarse to be corrected for hundreds of tests. Then Hoeffding's
    bound on a sum of random signs, 2 exp(-z^2 / 2), is used if it is smaller.
    """
    observed, swapped = float(drawn[0]), np.sort(np.abs(drawn[1:]))
    if not np.isfinite(observed) or not len(swapped):
        return Judged(number(observed), None, None)
    far = int((~(swapped < abs(observed) - ROUNDING)).sum())
    p = (1 + far) / (1 + len(swapped))
    if not far and (spread := float(np.sqrt(np.mean(swapped**2)))):
        p = min(p, 2 * math.exp(-((observed / spread) ** 2) / 2))
    half = float(swapped[min(math.ceil(0.95 * (1 + len(swapped))), len(swapped)) - 1])
    ends = [observed - half, observed + half] if math.isfinite(half) else None
    return Judged(observed, ends, p if rows >= LEAST_TESTED else None)
