"""Emotions that are scored separately, and the baseline of the most frequent answer."""

import numpy as np
import pytest

from eval.score.score import score
from mmafflm.records import Prediction
from tests.eval.made_runs import record

pytestmark = pytest.mark.filterwarnings("ignore")
NAME = "semeval2018_english"


def scored(rows, texts, key):
    said = [Prediction(one.id, text) for one, text in zip(rows, texts, strict=True)]
    return score({NAME: rows}, {NAME: said}, "strict", resamples=5)["subsets"][NAME]["tasks"][key]


def test_each_emotion_weighs_the_same_in_a_score_and_in_its_baseline():
    golds = {"anger": [0.0, 0.2, 0.2], "fear": [0.4, 0.5, 0.9, 1.0, 1.0, 1.0], "joy": [0.1, 0.3], "sadness": [0.6, 0.7]}
    answers = {"anger": "0.5", "fear": "0.75", "joy": "0", "sadness": "1"}
    rows = [record(NAME, n, gold, "ei_reg", emotion=one) for one, of in golds.items() for n, gold in enumerate(of)]
    found = scored(rows, [answers[one.emotion] for one in rows], "ei_reg")
    off = [np.mean([abs(gold - float(answers[one])) for gold in of]) for one, of in golds.items()]
    assert found["metrics"]["mae"] == pytest.approx(np.mean(off))
    median = np.median([gold for of in golds.values() for gold in of])
    baseline = [np.abs(np.array(of) - median).mean() for of in golds.values()]
    assert found["majority"]["mae"] == pytest.approx(np.mean(baseline))
    assert set(found["metrics"]) >= {f"pearson_{one}" for one in golds}


def test_the_baseline_is_the_most_frequent_class():
    rows = [record(NAME, n, gold, "v_oc") for n, gold in enumerate([-3, 1, 1, 1, 2, 2])]
    assert scored(rows, [one.answer for one in rows], "v_oc")["majority"]["accuracy"] == pytest.approx(0.5)


def test_the_emotion_of_a_row_decides_which_answer_may_name_it():
    """The same text is the answer to one row and names another emotion than the next row asks about."""
    rows = [record(NAME, n, 0.5, "ei_reg", emotion=one) for n, one in enumerate(("anger", "fear"))]
    assert scored(rows, ["anger: 0.5"] * 2, "ei_reg")["unparsed_rows"]["ids"] == [rows[1].id]
