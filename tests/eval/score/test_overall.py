"""The means of a run's tasks: one for each modality and metric, undefined when a task has no score."""

import math

import pytest

from eval.score.figure import Figure
from eval.score.overall import overall
from mmafflm.benchmark.benchmark import benchmark


def task(subset: str, key: str):
    return benchmark()[subset].task(key)


def test_modalities_and_metrics_are_not_mixed() -> None:
    scored = [
        (task("XED", "ec"), Figure(0.4, (0.3, 0.5), 100, 5)),
        (task("MMS", "sp"), Figure(0.7, (0.5, 0.9), 50, 0)),
        (task("FER2013", "ec"), Figure(0.5, (0.4, 0.6), 10, 10)),
        (task("CHSIMS_SI", "si"), Figure(0.1, None, 20, 0)),
    ]
    found = {(one.modality, one.metric): one for one in overall(scored)}
    assert found.keys() == {("text", "macro_f1"), ("image", "macro_f1"), ("video", "pearson")}
    text = found["text", "macro_f1"]
    assert (text.tasks, text.figure.n, text.figure.unparsed) == (2, 150, 5)
    half = math.hypot(0.1, 0.2) / 2  # two corpora: independent
    assert text.figure.value == pytest.approx(0.55) and text.figure.ends == pytest.approx((0.55 - half, 0.55 + half))
    assert found["image", "macro_f1"].figure.ends == pytest.approx((0.4, 0.6))
    assert found["video", "pearson"].figure == Figure(0.1, None, 20, 0)


def test_an_interval_that_ends_with_the_metrics_range_counts_with_that_end() -> None:
    """What was cut off at 1 is unknown, so the upper end is that of (0.3, 0.5) and of 1: (0.4 + 1) / 2 + 0.1 / 2."""
    scored = [
        (task("XED", "ec"), Figure(0.4, (0.3, 0.5), 100, 5)),
        (task("MMS", "sp"), Figure(0.8, (0.6, 1.0), 50, 0)),
    ]
    (text,) = overall(scored)
    assert text.figure.ends == pytest.approx((0.6 - math.hypot(0.1, 0.2) / 2, 0.75))


def test_widths_on_the_same_rows_add_up_and_a_withheld_score_withholds_the_mean() -> None:
    same = [
        (task("MELD_EC", "ec"), Figure(0.4, (0.3, 0.5), 9, 0)),
        (task("MELD_SP", "sp"), Figure(0.6, (0.5, 0.7), 9, 0)),
    ]
    (meld,) = overall(same)
    assert meld.figure.ends == pytest.approx((0.4, 0.6))
    (withheld,) = overall([same[0], (same[1][0], Figure(None, None, 9, 9))])
    assert withheld.figure == Figure(None, None, 18, 9) and withheld.tasks == 2
