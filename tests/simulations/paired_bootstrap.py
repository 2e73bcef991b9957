"""The paired bootstrap, which `mmaffben compare` used before its permutation test: for the tables that compare both."""

from typing import NamedTuple

import numpy as np

from eval.score.bootstrap import RESAMPLES, SEED, Measure, distribution, interval
from eval.score.metrics import Floats


class Paired(NamedTuple):
    """B minus A on the same rows, its 95% interval, and p: twice the share of resamples on the smaller side of 0."""

    difference: float
    low: float
    high: float
    p: float


def paired_bootstrap(
    a: Measure, b: Measure, counts: Floats, metric: str, resamples: int = RESAMPLES, seed: int = SEED
) -> Paired:
    """Each resample draws the rows once for both; `counts` [K] says how often each distinct row occurs."""
    whole = [float(one(counts[None, :])[metric][0]) for one in (a, b)]
    drawn = [distribution(one, counts, resamples, seed)[metric] for one in (a, b)]  # the same seed: the same rows
    apart = drawn[1] - drawn[0]
    low, high = interval(apart) or (np.nan, np.nan)
    below, above = (apart <= 0).sum(), (apart >= 0).sum()
    return Paired(whole[1] - whole[0], low, high, min(1.0, max(2 * min(below, above), 1) / len(apart)))
