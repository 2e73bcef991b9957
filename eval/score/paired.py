"""Tools to compare two runs on the same rows: distinct rows to resample, their metrics, and Holm's correction."""

from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32

import numpy as np

from eval.score import metrics
from eval.score.bootstrap import SEED, Measure, Values
from eval.score.groups import Members, members
from eval.score.measure import measure
from eval.score.metrics import Array, Floats
from mmafflm.benchmark.benchmark import Task
from mmafflm.benchmark.grammar import Labels


class DistinctRows(NamedTuple):
    """K distinct rows, each with its gold and the predictions of one or more runs. `counts` [K]: how often each occurs.

    place [n]: for each row, the number of its distinct row. members: the groups to resample; None when rows are
    resampled one by one.
    """

    gold: Array
    predictions: list[Array]
    emotions: Array | None
    counts: Floats
    place: Array
    members: Members | None = None


def distinct(
    gold: Array,
    predictions: Sequence[Array],
    emotions: Sequence[str | None] | None = None,
    groups: Array | None = None,
) -> DistinctRows:
    """Merge equal rows and count them. The order of the result depends only on their values.

    Rows with several dimensions (EMOTIC_SI) are all kept in their order: few are equal, and a search for these costs
    more than it saves.
    """
    of = None if emotions is None else np.array(emotions, dtype=str)
    if gold.ndim == 2 and gold.dtype != bool:
        every = np.arange(len(gold))
        return DistinctRows(gold, list(predictions), of, np.ones(len(gold)), every, members(groups, every))
    keys = _codes(gold)
    for column in (*predictions, *([] if of is None else [of])):  # keys stay below n * n
        keys = _codes(keys + (keys.max(initial=0) + 1) * _codes(column))
    _, first, place, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    kept = None if of is None else of[first]
    taken = [prediction[first] for prediction in predictions]
    return DistinctRows(gold[first], taken, kept, counts.astype(float), place, members(groups, place))


def _codes(column: Array) -> Array:
    """A number for each row, from 0; equal rows have equal numbers."""
    if column.ndim == 2:  # at most 27 classes: a row fits into 64 bits
        column = column.astype(np.uint64) @ (np.uint64(1) << np.arange(column.shape[1], dtype=np.uint64))
    codes: Array = np.unique(column, return_inverse=True)[1].ravel()
    return codes


def scorer(task: Task, mode: str, gold: Array, prediction: Array, emotions: Array | None = None) -> Measure:
    """A function from row counts [B, n] to the metrics of these rows; with `emotions`, the mean over the emotions.

    For numbers it computes Pearson's r and, in strict mode, the mean absolute error. It leaves out metrics of ranks,
    which cost a hundred times as much, because no comparison needs them.
    """

    def score(weights: Floats) -> Values:
        if emotions is None:
            return _measured(task, mode, gold, prediction, weights)
        parts = [
            _measured(task, mode, gold[emotions == one], prediction[emotions == one], weights[:, emotions == one])
            for one in np.unique(emotions)
        ]
        return {name: np.mean([part[name] for part in parts], axis=0) for name in parts[0]}

    return score


def _measured(task: Task, mode: str, gold: Array, prediction: Array, weights: Floats) -> Values:
    if isinstance(task.grammar, Labels):
        return measure(task, mode, gold, prediction, weights)
    if gold.ndim == 2:
        parts = [_numbers(mode, gold[:, at], prediction[:, at], weights) for at in range(gold.shape[1])]
        return {name: np.mean([part[name] for part in parts], axis=0) for name in parts[0]}
    return _numbers(mode, gold, prediction, weights)


def _numbers(mode: str, gold: Floats, prediction: Floats, weights: Floats) -> dict[str, Floats]:
    with np.errstate(invalid="ignore", divide="ignore"):  # NaN when a resample has no row of a rare emotion
        pearson = metrics.pearson(gold, prediction, weights)
        if mode == "paper":
            return {"pearson": pearson}
        # The correlation of a constant is undefined. Strict mode counts it as 0, here as in the scores.
        return {"pearson": np.nan_to_num(pearson, nan=0.0), "mae": metrics.mae(gold, prediction, weights)}


def seed_of(*names: str) -> int:
    """A separate seed for every unit that is resampled: two languages of 500 rows must not draw the same rows."""
    return SEED + crc32(" ".join(names).encode())


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down correction of p-values: valid under any dependence between the tests."""
    order = sorted(range(len(p)), key=lambda at: p[at])
    corrected, worst = [0.0] * len(p), 0.0
    for rank, at in enumerate(order):
        worst = max(worst, min(1.0, (len(p) - rank) * p[at]))
        corrected[at] = worst
    return corrected
