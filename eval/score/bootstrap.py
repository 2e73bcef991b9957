"""The exact bootstrap: a resample is a count for each distinct (gold, prediction) row. It is seeded.

Rows are drawn, or whole groups of rows where rows depend on each other (the cluster bootstrap: Davison and Hinkley,
Bootstrap Methods and their Application, 1997, section 3.8).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from eval.score.groups import Members
from eval.score.metrics import Floats

RESAMPLES = 1000
MOST_LEFT_OUT = 1000
SEED = 20250529
_CHUNK = 2_000_000  # counts at a time, 16 MB: 277 resamples of 7,203 rows, or all 1,000 resamples of 500 rows

Values: TypeAlias = Mapping[str, Floats]
Measure: TypeAlias = Callable[[Floats], Values]
"""Counts of each row [B, n] -> every metric [B]."""


class Paired(NamedTuple):
    """Run b minus run a: the difference, its 95% interval, and the two-sided bootstrap p-value."""

    difference: float
    low: float
    high: float
    p: float


def _resampled(counts: Floats, resamples: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Counts [chunk, K] for `resamples` draws with replacement; distinct row k occurs `counts[k]` times, [K]."""
    rows = int(counts.sum())
    chunk = max(1, _CHUNK // len(counts))
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        if len(counts) < rows / 8:
            yield rng.multinomial(rows, counts / rows, size).astype(float)
            continue
        # When many rows are distinct, drawing rows and counting them is faster; the distribution is the same.
        owner = np.repeat(np.arange(len(counts)), counts.astype(int))
        drawn = owner[rng.integers(0, rows, (size, rows))] + len(counts) * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * len(counts)).reshape(size, -1).astype(float)


def _resampled_groups(members: Members, resamples: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Counts [chunk, K] for `resamples` draws of as many groups as there are, with replacement."""
    units = members.units
    chunk = max(1, _CHUNK // max(members.times.shape))
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        drawn = rng.integers(0, units, (size, units)) * size + np.arange(size)[:, None]
        yield members.weights(np.bincount(drawn.ravel(), minlength=size * units).reshape(units, size).T.astype(float))


def distribution(
    measure: Measure, counts: Floats, resamples: int = RESAMPLES, seed: int = SEED, members: Members | None = None
) -> dict[str, Floats]:
    """Every metric in every resample, [resamples] each. The same arguments give the same numbers.

    members: draws whole groups; None draws rows. `counts` then only says how often each distinct row occurs.
    """
    rng = np.random.default_rng(seed)
    draws = _resampled(counts, resamples, rng) if members is None else _resampled_groups(members, resamples, rng)
    parts = [measure(weights) for weights in draws]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}


class LeftOut(NamedTuple):
    """A metric without one unit (row or group), and how many units give each value."""

    values: Floats
    times: Floats


def left_out(measure: Measure, counts: Floats, members: Members | None = None) -> dict[str, LeftOut]:
    """Every metric without each unit in turn, for the jackknife; {} for more than MOST_LEFT_OUT different ones.

    With so many units the jackknife agrees with the bootstrap, and costs more.
    """
    different = len(counts) if members is None else members.units
    if different > MOST_LEFT_OUT:
        return {}
    times = counts if members is None else np.ones(different)
    weights = counts - np.eye(different) if members is None else members.weights(1 - np.eye(different))
    return {name: LeftOut(values, times) for name, values in measure(weights).items()}


def interval(values: Floats) -> list[float] | None:
    """The 2.5% and 97.5% percentiles; None when the metric is undefined in every resample."""
    finite = values[np.isfinite(values)]
    return [float(end) for end in np.percentile(finite, [2.5, 97.5])] if len(finite) else None


def paired_bootstrap(
    measure_a: Measure,
    measure_b: Measure,
    counts: Floats,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    names: Sequence[str] | None = None,
    members: Members | None = None,
) -> dict[str, Paired]:
    """Compare two runs on the same rows: each resample draws the rows, or groups (members), once for both.

    `counts` [n] says how often each row occurs (ones for plain rows); the measures take counts [B, n]. The p-value is
    twice the share of resamples on the smaller side of 0. A resample at 0 counts on both sides. p is at least
    1 / resamples.
    """
    whole_a, whole_b = measure_a(counts[None, :]), measure_b(counts[None, :])
    drawn_a = distribution(measure_a, counts, resamples, seed, members)
    drawn_b = distribution(measure_b, counts, resamples, seed, members)  # the same seed: the same rows
    found = {}
    for name in names or whole_a:
        difference = drawn_b[name] - drawn_a[name]
        ends = interval(difference) or [np.nan, np.nan]
        found[name] = Paired(float(whole_b[name][0] - whole_a[name][0]), ends[0], ends[1], p_value(difference))
    return found


def p_value(difference: Floats) -> float:
    """The two-sided bootstrap p-value of the resampled differences (see paired_bootstrap); 1 when all are undefined."""
    difference = difference[np.isfinite(difference)]
    below, above = (difference <= 0).sum(), (difference >= 0).sum()
    return float(min(1.0, max(2 * min(below, above), 1) / max(len(difference), 1)))
