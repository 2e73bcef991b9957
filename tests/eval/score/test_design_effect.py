"""The design effect against numerical derivatives and against statsmodels' clustered standard errors."""

import numpy as np
import pytest
from statsmodels.regression.linear_model import OLS

from eval.score.design_effect import design_effect, influences
from eval.score.measure import MODES, measure
from eval.score.metrics import Array
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.benchmark.grammar import Labels, Vad

ROWS = 60
TASKS = [benchmark()[name].tasks[0] for name in ("XED", "EMOTIC_EC", "CHSIMS_SI", "EMOTIC_SI")]


def made_up(grammar: object) -> tuple[Array, Array]:
    """Gold and predictions that are right half of the time; two classes never occur."""
    rng = np.random.default_rng(16)
    if isinstance(grammar, Labels):
        gold, other = (rng.random((ROWS, len(grammar.names))) < 0.3 for _ in range(2))
        gold[:, -2:] = other[:, -2:] = False
        return gold, np.where(rng.random((ROWS, 1)) < 0.5, gold, other)
    gold = rng.normal(size=(ROWS, 3) if isinstance(grammar, Vad) else ROWS)
    return gold, gold + rng.normal(size=gold.shape)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_influences_are_the_derivatives_of_the_main_metric(task, mode) -> None:  # type: ignore[no-untyped-def]
    gold, prediction = made_up(task.grammar)
    step = 1e-4  # counts of labels are single precision, so a smaller step would drown in rounding
    ends = [measure(task, mode, gold, prediction, 1 + sign * step * np.eye(ROWS))[task.main_metric] for sign in (1, -1)]
    slopes, found = (ends[0] - ends[1]) / (2 * step), influences(gold, prediction)
    assert np.corrcoef(slopes, found)[0, 1] > 0.9999 and abs(found.sum()) < 1e-9


def test_each_emotion_moves_the_mean_over_the_emotions() -> None:
    task = benchmark()["semeval2018_english"].tasks[0]
    rng = np.random.default_rng(3)
    emotions = ["anger"] * 15 + ["joy"] * 45
    gold = rng.random(ROWS)
    prediction = gold + rng.random(ROWS)
    prediction[:15] = 0.5  # a constant: no row moves r, which counts as 0
    found = influences(gold, prediction, emotions)
    assert not found[:15].any() and found[15:].any()

    prediction[:15] = rng.random(15)
    step, slopes = 1e-6, []
    for row in range(ROWS):
        ends = []
        for sign in (1, -1):
            weights = np.ones((1, ROWS))
            weights[0, row] += sign * step
            parts = [slice(0, 15), slice(15, ROWS)]
            ends.append(np.mean([measure(task, "strict", gold[of], prediction[of], weights[:, of])["pearson"][0]
                                 for of in parts]))  # fmt: skip
        slopes.append((ends[0] - ends[1]) / (2 * step))
    assert influences(gold, prediction, emotions) / 2 == pytest.approx(np.array(slopes), rel=1e-4, abs=1e-8)


def test_for_a_mean_it_is_the_ratio_of_the_published_variances() -> None:
    """Liang and Zeger's clustered variance / White's, both with statsmodels' corrections of few units."""
    rng, groups = np.random.default_rng(5), np.repeat(np.arange(20), 6)
    right = (rng.random(120) < np.repeat(rng.beta(1, 1, 20), 6)).astype(float)
    model = OLS(right, np.ones_like(right))
    clustered = model.fit(cov_type="cluster", cov_kwds={"groups": groups}).bse[0] ** 2
    alone = model.fit(cov_type="HC1").bse[0] ** 2
    found = design_effect(right - right.mean(), groups)
    assert found == pytest.approx(clustered / alone) and found > 2


def test_without_a_spread_or_a_second_group_there_is_none() -> None:
    assert design_effect(np.zeros(6), np.array([0, 0, 1, 1, 2, 2])) is None
    assert design_effect(np.arange(6.0), np.zeros(6, dtype=int)) is None
    gold = np.arange(6.0)
    assert design_effect(influences(gold, gold), np.array([0, 0, 1, 1, 2, 2])) is None  # r = 1, whatever the rows
