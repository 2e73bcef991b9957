"""The paired permutation test: its metrics are those of the scores, and it holds its level with few rows."""

import itertools

import numpy as np
import pytest

from eval.score.measure import measure
from eval.score.paired import holm
from eval.score.permutation import LEAST_TESTED, SwappedRuns, judge
from mmafflm.benchmark.benchmark import Task, benchmark
from mmafflm.benchmark.grammar import Labels
from tests.eval.made_runs import answered, noisy, records

XED = benchmark()["XED"].tasks[0]
TASKS = [("XED", ""), ("MELD_SP", ""), ("CHSIMS_SI", ""), ("semeval2018_english", "ei_reg"), ("EMOTIC_SI", "")]


def two(subset: str, key: str, rows: int = 60) -> tuple[Task, np.ndarray, list[np.ndarray], np.ndarray | None]:
    asked = records(subset, rows, key)
    (a,), (b,) = (answered(asked, noisy(share, at)) for at, share in enumerate((0.3, 0.6)))
    emotions = None if a.emotions is None else np.array(a.emotions, dtype=str)
    return a.task, a.read.gold, [a.read.prediction, b.read.prediction], emotions


def scores(task: Task, mode: str, gold: np.ndarray, prediction: np.ndarray, emotions: np.ndarray | None) -> dict:
    parts = [np.ones(len(gold), dtype=bool)] if emotions is None else [emotions == one for one in np.unique(emotions)]
    found = [measure(task, mode, gold[of], prediction[of], np.ones((1, of.sum()))) for of in parts]
    return {name: np.mean([one[name][0] for one in found]) for name in found[0]}


@pytest.mark.parametrize(("subset", "key"), TASKS)
@pytest.mark.parametrize("mode", ["strict", "paper"])
def test_metrics_are_those_of_the_scores_before_and_after_swaps(subset: str, key: str, mode: str) -> None:
    task, gold, (a, b), emotions = two(subset, key)
    runs = SwappedRuns(task, mode, gold, [a, b], emotions, np.arange(len(gold)) // len(gold))  # one group: all or none
    runs.draw(20, 1)
    for name, drawn in runs.difference(0, 1).items():
        each = [scores(task, mode, gold, one, emotions)[name] for one in (a, b)]
        assert [float(runs.values(at)[name][0]) for at in (0, 1)] == pytest.approx(each)
        assert drawn[0] == pytest.approx(each[1] - each[0])
        assert set(np.round(drawn[1:], 9)) == {round(drawn[0], 9), round(-drawn[0], 9)}, "swapped as a whole or not"


def test_p_is_that_of_all_swaps_of_few_groups() -> None:
    task, gold, (a, b), _ = two("MELD_SP", "", 64)
    groups = np.arange(len(gold)) % 8
    runs = SwappedRuns(task, "strict", gold, [a, b], groups=groups)
    runs.draw(20_000, 1)
    drawn = runs.difference(0, 1)["macro_f1"]
    exact = []
    for swaps in itertools.product([False, True], repeat=8):
        swap = np.array(swaps)[groups][:, None]
        left, right = np.where(swap, b, a), np.where(swap, a, b)
        exact.append(scores(task, "strict", gold, right, None)["macro_f1"]
                     - scores(task, "strict", gold, left, None)["macro_f1"])  # fmt: skip
    share = np.mean(np.abs(exact) >= abs(drawn[0]) - 1e-9)
    assert judge(drawn, len(gold)).p == pytest.approx(share, abs=0.01)


def test_the_observed_case_counts_and_the_interval_agrees_with_p() -> None:
    draw = np.random.default_rng(0)
    for observed in np.linspace(0, 4, 81):
        found = judge(np.array([observed, *draw.normal(size=400)]), 100)
        assert found.p is not None and found.ci95 is not None and found.p > 0
        assert (found.ci95[0] <= 0) == (found.p > 0.05)
    assert judge(np.array([1.0, *[0.5] * 99]), 100).p == 1 / 100
    assert judge(np.array([1.0, *[0.1] * 99]), 100).p == pytest.approx(2 * np.exp(-50)), "Hoeffding's bound"
    ranked = judge(np.array([300.0, *range(1, 100)]), 100)
    assert ranked.ci95 == [300 - 95, 300 + 95], "95 of the 100 differences, the observed one included, are within"


def test_too_few_rows_and_undefined_differences_are_not_tested() -> None:
    drawn = np.array([0.3, *np.linspace(-0.2, 0.2, 99)])
    assert judge(drawn, LEAST_TESTED - 1).p is None and judge(drawn, LEAST_TESTED).p is not None
    assert judge(np.array([np.nan, 0.1]), 100) == (None, None, None)


@pytest.mark.parametrize(("subset", "key"), TASKS)
def test_twins_do_not_differ_wherever_they_are(subset: str, key: str) -> None:
    task, gold, (a, b), emotions = two(subset, key)
    runs = SwappedRuns(task, "strict", gold, [a, *[b] * 9], emotions)
    runs.draw(40, 1)
    for left, right in itertools.combinations(range(1, 10), 2):
        assert not any(drawn.any() for drawn in runs.difference(left, right).values())


def drawn_labels(
    rng: np.random.Generator, rows: int, wrong: tuple[float, float] = (0.5, 0.5), groups: np.ndarray | None = None
) -> list[np.ndarray]:
    """Gold of XED's classes, skewed, and two runs, whose answers are drawn like gold with these probabilities.

    groups: in a group, an answer is the group's own label as gold is, and a run errs in all of it or in nothing.
    """
    assert isinstance(XED.grammar, Labels)
    classes = len(XED.grammar.names)
    prior = np.array([0, 20, 12, 20, 10, 10, 10, 13, 15][:classes], dtype=float)
    codes = np.arange(rows) if groups is None else groups

    def labels() -> np.ndarray:
        return np.eye(classes, dtype=bool)[rng.choice(classes, codes.max() + 1, p=prior / prior.sum())][codes]

    gold = labels()
    return [gold, *(np.where((rng.random(codes.max() + 1) < one)[codes][:, None], labels(), gold) for one in wrong)]


@pytest.mark.parametrize("rows", [50, 200])
def test_equal_runs_differ_in_one_test_of_twenty(rows: int) -> None:
    """400 simulations a size: the share below 0.05 has a standard error of 0.011."""
    p = []
    for seed in range(400):
        gold, a, b = drawn_labels(np.random.default_rng(seed), rows)
        runs = SwappedRuns(XED, "strict", gold, [a, b])
        runs.draw(400, seed)
        p.append(judge(runs.difference(0, 1)["macro_f1"], rows).p)
    assert 0.02 <= np.mean(np.array(p) < 0.05) <= 0.08
    assert 0.4 <= np.mean(np.array(p) < 0.5) <= 0.6


def test_groups_are_swapped_as_a_whole() -> None:
    """Answers that agree within dialogues of ten rows: swapping rows claims far too much, swapping dialogues does not.

    150 simulations: the share below 0.05 has a standard error of 0.018.
    """
    groups = np.arange(400) // 10
    claims = np.zeros(2)
    for seed in range(150):
        gold, a, b = drawn_labels(np.random.default_rng(seed), 400, groups=groups)
        for at, of in enumerate((groups, None)):
            runs = SwappedRuns(XED, "strict", gold, [a, b], groups=of)
            runs.draw(400, seed)
            p = judge(runs.difference(0, 1)["macro_f1"], 400).p
            claims[at] += p is not None and p < 0.05
    assert claims[0] / 150 <= 0.1 and claims[1] / 150 >= 0.3


def test_a_family_of_equal_runs_claims_a_difference_in_one_table_of_twenty() -> None:
    """10 languages of 50 rows: after Holm's correction at most 5% of the tables claim anything, give or take 2%."""
    claims = 0
    for seed in range(100):
        p = []
        for language in range(10):
            gold, a, b = drawn_labels(np.random.default_rng([seed, language]), 50)
            runs = SwappedRuns(XED, "strict", gold, [a, b])
            runs.draw(800, seed * 10 + language)
            p.append(judge(runs.difference(0, 1)["macro_f1"], 50).p or 0.0)
        claims += min(holm(p)) < 0.05
    assert claims / 100 <= 0.1
