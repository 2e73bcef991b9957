"""The bootstrap with a fixed seed. A resample is the number of times that each distinct (gold, prediction) row occurs.

It draws rows, or whole groups of rows that depend on each other (the cluster bootstrap: Davison and Hinkley, Bootstrap
Methods and their Application, 1997, section 3.8).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, TypeAlias

import numpy as np

from eval.score.groups import Members
from eval.score.metrics import Floats

RESAMPLES = 1000
MOST_LEFT_OUT = 1000
SEED = 20250529
_CHUNK = 2_000_000  # counts in memory at once, 16 MB: 277 resamples of 7,203 rows, or 1,000 resamples of 500 rows

Values: TypeAlias = Mapping[str, Floats]
Measure: TypeAlias = Callable[[Floats], Values]
"""A function from the count of each row [B, n] to every metric [B]."""


def _resampled(counts: Floats, resamples: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Yield counts [chunk, K] of resamples of rows with replacement. counts [K]: how often each distinct row occurs."""
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
    """Yield counts [chunk, K] of resamples of groups with replacement. A resample has as many groups as the data."""
    units = members.units
    chunk = max(1, _CHUNK // max(members.times.shape))
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        drawn = rng.integers(0, units, (size, units)) * size + np.arange(size)[:, None]
        yield members.weights(np.bincount(drawn.ravel(), minlength=size * units).reshape(units, size).T.astype(float))


def distribution(
    measure: Measure, counts: Floats, resamples: int = RESAMPLES, seed: int = SEED, members: Members | None = None
) -> dict[str, Floats]:
    """Every metric in every resample, [resamples] each; {} without resamples. Equal arguments give equal numbers.

    counts: how often each distinct row occurs. members: the groups to draw; None draws rows.
    """
    rng = np.random.default_rng(seed)
    draws = _resampled(counts, resamples, rng) if members is None else _resampled_groups(members, resamples, rng)
    parts = [measure(weights) for weights in draws]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}


class LeftOut(NamedTuple):
    """values: a metric after leaving out one unit (row or group). times: the number of units with each value."""

    values: Floats
    times: Floats


def left_out(measure: Measure, counts: Floats, members: Members | None = None) -> dict[str, LeftOut]:
    """Every metric after leaving out each unit in turn, for the jackknife; {} for more than MOST_LEFT_OUT units.

    Equal rows count as one unit. With more units the jackknife agrees with the bootstrap but takes longer.
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
