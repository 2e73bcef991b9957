"""The answers of a calibrated predictor that has the run's correlation r with gold, and the uncertainty that r implies.

The best predictor with correlation r answers with the mean of the possible gold values. For a gold value z standard
deviations from the mean, its answers scatter around r^2 z with the standard deviation r sqrt(1 - r^2), so they spread r
times as wide as gold. Such answers lie in the middle of the scale although the predictor has no fault.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import norm

from eval.score import metrics
from eval.score.metrics import Floats

LEAST_R = 0.3  # a smaller r counts as 0.3: at almost no skill, uncertainty would excuse a constant answer


class Implied(NamedTuple):
    """r, at least LEAST_R, and the share of a calibrated predictor's answers at each tick of the scale, [K]."""

    r: float
    shares: Floats


def at_least(r: Floats) -> Floats:
    """r limited to the range from LEAST_R to 1; LEAST_R where r is undefined."""
    kept: Floats = np.clip(np.nan_to_num(r, nan=LEAST_R), LEAST_R, 1.0)
    return kept


def implied_by(gold: Floats, prediction: Floats, ticks: Floats) -> Implied:
    """The calibrated predictor with the same r as `prediction` [n] on `gold` [n]; `ticks` [K] are evenly spaced."""
    r = float(at_least(metrics.pearson(gold, prediction))[0])
    values, counts = np.unique(gold, return_counts=True)
    centre = gold.mean() + r**2 * (values - gold.mean())
    width = max(r * np.sqrt(1 - r**2) * float(gold.std()), 1e-9)
    edges = np.concatenate([[-np.inf], (ticks[1:] + ticks[:-1]) / 2, [np.inf]])
    shares = np.diff(norm.cdf((edges - centre[:, None]) / width), axis=1)
    return Implied(r, counts @ shares / len(gold))
