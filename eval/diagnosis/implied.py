"""What a calibrated predictor would answer: one that is as right as the run, and as doubtful as that makes it.

The best predictor of correlation r answers the mean of what gold may be. Given a gold value z standard deviations from
the mean, its answers scatter around r^2 z with the standard deviation r sqrt(1 - r^2), so they spread r times as wide
as gold. Such answers collect in the middle of the scale without any fault.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import norm

from eval.score import metrics
from eval.score.metrics import Floats

LEAST_R = 0.3  # a smaller r counts as this: with hardly any skill, doubt would excuse a constant answer


class Implied(NamedTuple):
    """r, at least LEAST_R, and the share of a calibrated predictor's answers at each tick of the scale, [K]."""

    r: float
    shares: Floats


def at_least(r: Floats) -> Floats:
    """r within LEAST_R and 1; LEAST_R where it is undefined."""
    kept: Floats = np.clip(np.nan_to_num(r, nan=LEAST_R), LEAST_R, 1.0)
    return kept


def implied_by(gold: Floats, prediction: Floats, ticks: Floats) -> Implied:
    """The calibrated predictor that is as right as `prediction` [n] about `gold` [n]; `ticks` [K] are evenly spaced."""
    r = float(at_least(metrics.pearson(gold, prediction))[0])
    values, counts = np.unique(gold, return_counts=True)
    centre = gold.mean() + r**2 * (values - gold.mean())
    width = max(r * np.sqrt(1 - r**2) * float(gold.std()), 1e-9)
    edges = np.concatenate([[-np.inf], (ticks[1:] + ticks[:-1]) / 2, [np.inf]])
    shares = np.diff(norm.cdf((edges - centre[:, None]) / width), axis=1)
    return Implied(r, counts @ shares / len(gold))
