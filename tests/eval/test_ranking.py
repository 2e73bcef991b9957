"""tests.ranking, whose numbers stand in the docs, against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.ranking import mean_area


@pytest.mark.parametrize("seed", range(5))
def test_the_mean_area_is_scikit_learns(seed: int) -> None:
    draw = np.random.default_rng(seed)
    gold = (draw.random((60, 9)) < 0.2).astype(float)
    shares = np.round(draw.normal(size=(60, 9)) + gold, 1)  # with ties
    expected = np.mean([roc_auc_score(gold[:, at], shares[:, at]) for at in range(9)])
    assert mean_area(shares, gold) == pytest.approx(expected)


def test_a_label_that_no_row_holds_has_no_area() -> None:
    gold = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    assert mean_area(np.array([[2.0, 1.0], [1.0, 2.0], [0.0, 3.0]]), gold) == 1.0
