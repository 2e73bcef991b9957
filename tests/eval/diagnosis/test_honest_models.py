"""A noisy but honest model has no fault: simulations of whole diagnoses, and of the checks that used to find one."""

import math
import random
from collections.abc import Callable

import numpy as np
import pytest

from eval.diagnosis.diagnose import diagnose
from eval.diagnosis.finding import LEVEL, Finding, corrected
from eval.score.answered import Answered
from eval.score.paired import holm
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.benchmark.grammar import Ordinal
from mmafflm.records import Record
from tests.eval.made_runs import answered, noisy, record, records


def calibrated(subset: str, key: str, rows: int, r: float, draw: random.Random) -> list[Answered]:
    """Normal gold over the scale, and answers that are the mean of gold given a signal of correlation r."""
    task = benchmark()[subset].task(key) if key else benchmark()[subset].tasks[0]
    grammar = task.grammar
    low, high = grammar.low, grammar.high  # type: ignore[union-attr]
    middle, width = (low + high) / 2, (high - low) / 5

    def value(z: float) -> float:
        found = min(max(middle + width * z, low), high)
        return round(found) if isinstance(grammar, Ordinal) else round(found, 3)

    made, said = [], {}
    for emotion in task.emotions or (None,):
        for at in range(rows):
            signal = draw.gauss(0, 1)
            gold = value(r * signal + math.sqrt(1 - r * r) * draw.gauss(0, 1))
            made.append(record(subset, at, gold, key, emotion=emotion))
            said[made[-1].id] = task.answer(value(r * signal), emotion)
    return answered(made, lambda one: said[one.id])


def honest(seed: int) -> list[Answered]:
    """Labels in five languages, a label set, numbers and ordinals of r = 0.4, with one answer in 300 unreadable."""
    draw = random.Random(seed)

    def mostly(answer: Callable[[Record], str]) -> Callable[[Record], str]:
        return lambda one: "I cannot tell" if draw.random() < 1 / 300 else answer(one)

    labels = records("XED", 100, languages=("de", "en", "fi", "ru", "tr"), seed=seed)
    single = records("MELD_SP", 150, seed=seed)
    return [
        *answered(labels, mostly(noisy(0.5, seed))), *answered(single, mostly(noisy(0.4, seed + 1))),
        *calibrated("CHSIMS_SI", "", 150, 0.4, draw), *calibrated("semeval2018_english", "v_oc", 200, 0.4, draw),
        *calibrated("semeval2018_spanish", "v_reg", 150, 0.4, draw), *calibrated("CFAPS_EI", "", 60, 0.4, draw),
    ]  # fmt: skip


def test_an_honest_model_is_found_guilty_in_few_runs() -> None:
    """20 diagnoses of about 50 checks. At most 5% may find anything; more than 3 of 20 happens once in 60 times."""
    guilty = []
    for seed in range(20):
        found = diagnose(honest(seed), resamples=100)
        assert len(found["findings"]) > 30
        guilty.append([one["check"] for one in found["findings"] if one["verdict"] == "found"])
    assert sum(map(bool, guilty)) <= 3, guilty


@pytest.mark.parametrize(("subset", "key"), [("CHSIMS_SI", ""), ("semeval2018_english", "v_oc")])
def test_doubt_is_no_drift_and_half_of_what_doubt_explains_is(subset: str, key: str) -> None:
    found = diagnose(calibrated(subset, key, 600, 0.4, random.Random(1)), resamples=200)
    verdicts = {one["check"]: one for one in found["findings"] if one["kind"] == "intensity_drift"}
    assert verdicts["spread"]["value"] == pytest.approx(1, abs=0.5)  # rounding to classes widens the answers
    assert {one["verdict"] for one in verdicts.values()} <= {"absent", "unsure"}
    rows = records("CHSIMS_SI", 600)
    other = noisy(0.6)
    narrow = answered(rows, lambda one: f"{0.1 * float(other(one)):.3f}")
    (spread,) = [one for one in diagnose(narrow, resamples=200)["findings"] if one["check"] == "spread"]
    assert spread["verdict"] == "found" and "calibrated predictor with r = 0.4" in spread["sentence"]


def test_the_ends_of_an_ordinal_scale_may_go_unused_but_not_its_middle() -> None:
    doubtful = diagnose(calibrated("semeval2018_english", "v_oc", 400, 0.4, random.Random(2)), resamples=100)
    (never,) = [one for one in doubtful["findings"] if one["check"] == "never_predicted"]
    assert never["data"]["never_predicted"] and never["verdict"] == "unsure" and "by chance: p" in never["sentence"]
    rows = records("semeval2018_english", 400, "v_oc")
    task, blind = benchmark()["semeval2018_english"].task("v_oc"), {-1: 0, 0: 0, 1: 2}
    said = answered(rows, lambda one: task.answer(blind[one.gold]) if one.gold in blind else one.answer)
    found = diagnose(said, resamples=100)
    (never,) = [one for one in found["findings"] if one["check"] == "never_predicted"]
    assert never["verdict"] == "found" and never["data"]["never_predicted"] == ["-1", "1"]


def test_p_is_corrected_within_a_kind() -> None:
    def finding(check: str, hits: int) -> Finding:
        return Finding(check, "XED", "ec", "", hits / 1000, [hits / 1000 - 0.005, hits / 1000 + 0.02], 1000, "")

    alone = finding("unparsed", 19)  # 10 were due at the threshold
    assert alone.p is not None and alone.p < LEVEL and alone.verdict == "found"
    among = corrected([alone, *[finding("unparsed", 1)] * 99, finding("foreign_prose", 900)])
    assert among[0].verdict == "unsure" and among[-1].verdict == "found", "of another kind"
    assert [one.p_holm for one in among[:100]] == holm([one.p or 0 for one in among[:100]])
    assert corrected([alone])[0].p_holm == alone.p
    draw = np.random.default_rng(0).binomial(1000, 0.01, 200_000)
    assert alone.p == pytest.approx((draw >= 19).mean(), rel=0.2)
