"""The intervals contain the truth as often as they promise (tests/simulations/intervals.py), and stay in range."""

import numpy as np
import pytest
from statsmodels.regression.linear_model import OLS

from eval.score.bootstrap import SEED, LeftOut
from eval.score.groups import groups_of, members, unit_of
from eval.score.intervals import Sampled, interval_of, mean_ends, within
from eval.score.measured import Draw, RowFacts, measured
from eval.score.score import score
from mmafflm.records import Prediction, Record
from tests.eval.made_runs import record
from tests.simulations.intervals import coverage, dialogues, labels, percentiles


def test_intervals_over_groups_cover_where_intervals_over_rows_do_not() -> None:
    world = dialogues(60, 10)
    assert 0.9 <= coverage(world, 200).covered <= 0.98  # 200 runs of an interval of 95% cover 0.92 to 0.98 themselves
    assert coverage(world, 200, rows_only=True).covered < 0.8


@pytest.mark.parametrize(("rows", "least", "before"), [(20, 0.88, 0.65), (60, 0.92, 0.9), (200, 0.92, 0.97)])
def test_macro_f1_of_few_rows_is_covered(rows: int, least: float, before: float) -> None:
    assert coverage(labels(rows, 0.5), 150).covered >= least
    assert percentiles(labels(rows, 0.5), 150).covered <= before


def test_means_over_groups_have_the_clustered_standard_error() -> None:
    """Against statsmodels' clustered standard errors (Liang and Zeger 1986) of a regression on a constant."""
    world = dialogues(80, 10)
    read, groups = world.draw(np.random.default_rng(3))
    assert groups is not None
    found = measured(world.task, "strict", read, Draw(4000, SEED), RowFacts(None, groups, "dialogue"))
    right = (read.gold == read.prediction).all(1).astype(float)
    fitted = OLS(right, np.ones_like(right)).fit(cov_type="cluster", cov_kwds={"groups": groups})
    error = float(fitted.bse[0])
    low, high = found.ci95["accuracy"] or [0.0, 0.0]
    assert (high - low) / 2 == pytest.approx(1.9905 * error, rel=0.05)  # t with 79 degrees of freedom
    rows = right.std() / np.sqrt(len(right))
    assert found.about == {"unit": "dialogue", "units": 80, "design_effect": found.about["design_effect"]}
    assert found.about["design_effect"] > 1.5 and error / rows > 1.2


def grouped(name: str, number: int, group: str | None) -> Record:
    made = record(name, number, [["negative", "neutral", "positive"][number % 3]])
    return Record(**made.to_json() | {"group": group})


def test_rows_without_a_group_are_alone() -> None:
    rows = [grouped("MELD_SP", n, group) for n, group in enumerate(["dialogue:1", None, "dialogue:1", None])]
    assert groups_of(rows).tolist() == [0, 1, 0, 2] and unit_of(rows) == "dialogue"
    assert unit_of(rows[:2]) == "row" and groups_of(rows[1:2]).tolist() == [0]
    assert members(groups_of(rows[:2]), np.arange(2)) is None and members(None, np.arange(2)) is None


def test_drawn_groups_become_counts_of_distinct_rows() -> None:
    found = members(np.array([0, 0, 1, 2, 2]), np.array([1, 0, 1, 0, 0]))
    assert found is not None and found.units == 3
    assert found.weights(np.array([[1.0, 1.0, 1.0], [2.0, 0.0, 1.0]])).tolist() == [[3, 2], [4, 2]]


def test_a_score_says_what_was_resampled() -> None:
    rows = [grouped("MELD_SP", n, f"dialogue:test/{n // 6}") for n in range(60)]
    answers = [Prediction(one.id, one.answer if n // 6 % 2 else "1. positive") for n, one in enumerate(rows)]
    found = score({"MELD_SP": rows}, {"MELD_SP": answers}, "strict", resamples=200)["subsets"]["MELD_SP"]
    assert (found["unit"], found["units"]) == ("dialogue", 10) and found["design_effect"] > 1
    assert any(note.startswith("intervals resample 10 dialogues, design effect") for note in found["notes"])
    alone = [grouped("MELD_SP", n, None) for n in range(60)]
    found = score({"MELD_SP": alone}, {"MELD_SP": answers}, "strict", resamples=50)["subsets"]["MELD_SP"]
    assert found["unit"] == "row" and any("do not say which rows share a dialogue" in note for note in found["notes"])


def test_a_tweet_is_drawn_with_all_its_emotions_and_else_each_emotion_has_its_own_seed() -> None:
    name = "semeval2018_english"

    def asked(group: bool) -> list[Record]:
        made = [record(name, n, (n * 7 % 10) / 10, "ei_reg", emotion=of) for of in ("anger", "joy") for n in range(40)]
        return [
            Record(**one.to_json() | {"group": f"tweet:{at % 40}" if group else None}) for at, one in enumerate(made)
        ]

    widths = []
    for group in (True, False):
        rows = asked(group)
        said = [Prediction(one.id, f"0.{(at % 40) * 3 % 10}") for at, one in enumerate(rows)]
        found = score({name: rows}, {name: said}, "strict", resamples=400)["subsets"][name]["tasks"]["ei_reg"]
        low, high = found["ci95"]["pearson"]
        widths.append(high - low)
        apart = found["ci95"]["pearson_anger"] != found["ci95"]["pearson_joy"]
        assert apart is not group  # the same answers: drawn together they are equal, and otherwise not
    assert widths[0] > 1.2 * widths[1]  # two equal halves of one tweet say no more than one


def test_unparsed_numbers_are_shown_beside_the_strict_value() -> None:
    rows = [record("CHSIMS_SI", n, round(n / 10 - 1, 1)) for n in range(21)]
    said = [Prediction(one.id, "hm" if n % 7 == 0 else one.answer) for n, one in enumerate(rows)]
    found = score({"CHSIMS_SI": rows}, {"CHSIMS_SI": said}, "strict", resamples=50)["subsets"]["CHSIMS_SI"]
    assert found["parsed"]["n"] == 18 and found["parsed"]["metrics"]["pearson"] == pytest.approx(1)
    assert found["metrics"]["pearson"] < 0.9 and found["unparsed_rate"] == pytest.approx(3 / 21)


def test_macro_f1_of_a_perfect_model_is_1_over_the_classes_with_gold() -> None:
    rows = [record("XED", n, [["joy", "anger", "fear"][n % 3]]) for n in range(30)]
    said = [Prediction(one.id, one.answer) for one in rows]
    found = score({"XED": rows}, {"XED": said}, "strict", resamples=50)["subsets"]["XED"]
    assert found["metrics"]["macro_f1"] == pytest.approx(3 / 9) == found["attainable"]["macro_f1"]
    assert found["metrics"]["macro_f1_supported"] == 1


def test_intervals_stay_within_the_range_and_contain_the_score() -> None:
    drawn = np.linspace(0.7, 1.0, 101)
    left = LeftOut(np.array([0.6, 0.9]), np.array([5.0, 5.0]))
    for metric in ("macro_f1", "accuracy", "pearson"):
        low, high = interval_of(metric, Sampled(0.95, drawn, 10, 3.0, left)) or [2.0, 2.0]
        assert low <= 0.95 <= high <= 1
    assert within("pearson_joy", -1.2, 1.2) == [-1, 1] and within("mae", -0.1, 3.0) == [0, 3]
    assert interval_of("accuracy", Sampled(0.5, np.full(10, np.nan), 9)) is None
    assert interval_of("accuracy", Sampled(0.5, drawn, 1)) is None


def test_the_interval_of_a_mean_is_centred_without_the_bias_of_few_rows() -> None:
    low, high = mean_ends("macro_f1", [[(0.4, (0.3, 0.7))]] * 25) or (0.0, 0.0)
    assert (low, high) == (pytest.approx(0.4), pytest.approx(0.5 + 0.2 / 5))
    assert mean_ends("macro_f1", [[(0.8, (0.6, 1.0))]] * 4) == (pytest.approx(0.7), 1.0)
    assert mean_ends("pearson", [[(0.5, (0.4, 0.6)), (0.5, None)]]) is None and mean_ends("pearson", []) is None
