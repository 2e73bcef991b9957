"""Emotions that are scored separately, classes that nobody names, samples, and the most frequent answer."""

import numpy as np
import pytest

from eval.score.score import score, score_run
from mmafflm.records import Prediction, write_jsonl
from mmafflm.sampling import sample
from tests.data_files import write_data
from tests.eval.made_runs import record, write_run

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


def test_a_class_that_nobody_names_counts_as_right_in_paper_mode_and_as_wrong_in_strict():
    rows = [record("XED", n, ["joy"], language="de") for n in range(6)]
    said = {"XED": [Prediction(one.id, one.answer) for one in rows]}
    f1 = {
        mode: score({"XED": rows}, said, mode, resamples=5)["subsets"]["XED"]["metrics"]["macro_f1"]
        for mode in ("paper", "strict")
    }
    assert f1 == {"paper": 1.0, "strict": pytest.approx(1 / 9)}


@pytest.mark.parametrize(("limit", "marked"), [(2, True), (3, False), (4, False)])
def test_scores_of_fewer_rows_than_there_are_say_so(limit, marked, tmp_path):
    data = write_data(tmp_path / "data", {"MELD_SP": [record("MELD_SP", n, ["neutral"]) for n in range(3)]})
    write_run(tmp_path / "run", data, ["MELD_SP"], lambda one: one.answer, limit=limit)
    asked = [{"id": one.id, "prediction": one.answer} for one in sample(list(data.records("MELD_SP", "test")), limit)]
    write_jsonl(tmp_path / "run/predictions/MELD_SP.jsonl", asked)
    found = score_run(tmp_path / "run", data, "strict")["subsets"]["MELD_SP"]
    assert found["n"] == min(limit, 3) and found.get("sample") == ({"limit": 2, "of": 3} if marked else None)
