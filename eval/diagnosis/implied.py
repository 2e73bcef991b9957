"""How a calibrated predictor would answer if its correlation r with gold were that of the run.

For each row, a calibrated predictor answers with the mean of the gold values that it considers possible. Take gold's
standard deviation as the unit: where gold is z from its mean, these answers are on average r^2 z from it, with the
standard deviation r sqrt(1 - r^2). Over all rows their standard deviation is r. So they are nearer to the middle of the
scale than gold, although the predictor has no fault.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from eval.score import metrics
from eval.score.metrics import Floats

LEAST_R = 0.3  # a smaller r counts as 0.3; with r near 0, a constant answer would count as calibrated


class Implied(NamedTuple):
    """r, at least LEAST_R, and the share of a calibrated predictor's answers at each tick of the scale, [K]."""

    r: float
    shares: Floats


def at_least(r: Floats) -> Floats:
    """r limited to the range from LEAST_R to 1; LEAST_R where r is undefined."""
    kept: Floats = np.clip(np.nan_to_num(r, nan=LEAST_R), LEAST_R, 1.0)
    return kept


def implied_by(gold: Floats, prediction: Floats, ticks: Floats) -> Implied:
    """The calibrated predictor with the r of `prediction` [n] on `gold` [n], at least LEAST_R. ticks [K]: ascending."""
    r = float(at_least(metrics.pearson(gold, prediction))[0])
    values, counts = np.unique(gold, return_counts=True)
    centre = gold.mean() + r**2 * (values - gold.mean())
    width = max(r * np.sqrt(1 - r**2) * float(gold.std()), 1e-9)
    edges = np.concatenate([[-np.inf], (ticks[1:] + ticks[:-1]) / 2, [np.inf]])
    shares = np.diff(ndtr((edges - centre[:, None]) / width), axis=1)
    return Implied(r, counts @ shares / len(gold))
