import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.leaderboard.answers import RowsOfRuns
from eval.leaderboard.draws import ComparedRuns, corrected, rank
from eval.score.paired import holm
from eval.score.permutation import Judged, SwappedRuns, judge
from tests.eval.made_runs import answered, noisy, records

DRAWS = 40
TASKS = [
    ("XED", "", "macro_f1"), ("FER2013", "", "accuracy"), ("MELD_SP", "", "macro_f1"), ("CHSIMS_SI", "", "pearson"),
    ("semeval2018_english", "ei_reg", "pearson"), ("semeval2018_english", "e_c", "accuracy"),
    ("EMOTIC_SI", "", "pearson_arousal"), ("EMOTIC_SI", "", "pearson"),
]  # fmt: skip


def rows_of(subset: str, key: str, names: dict[str, float], part: slice = slice(None)) -> RowsOfRuns:
    """Runs by name, with their share of wrong answers; the last run was asked only a part."""
    asked = records(subset, 30, key)
    each = {name: answered(asked, noisy(share, at))[0] for at, (name, share) in enumerate(names.items())}
    task, n = next(iter(each.values())).task, len(asked)
    masks = {name: np.ones(n, dtype=bool) for name in names}
    masks[list(names)[-1]] = np.isin(np.arange(n), np.arange(n)[part])
    emotions = np.array([one.emotion for one in asked], dtype=str) if task.per_emotion else None
    read = {mode: {name: of.read for name, of in each.items()} for mode in ("strict", "paper")}
    return RowsOfRuns(task, None, emotions, np.array(["en"] * n), np.arange(n), masks, read)


@pytest.mark.parametrize(("subset", "key", "metric"), TASKS)
@pytest.mark.parametrize("mode", ["strict", "paper"])
def test_all_runs_together_are_tested_as_each_pair_alone(subset: str, key: str, metric: str, mode: str) -> None:
    names = {"a": 0.3, "b": 0.6, "c": 0.5}
    rows = rows_of(subset, key, names)
    found = ComparedRuns(rows, 2000)
    for one, other in itertools.permutations(names, 2):
        drawn = found.difference(one, other, mode, metric)
        read = [rows.read[mode][name] for name in (one, other)]
        pair = SwappedRuns(rows.task, mode, read[0].gold, [each.prediction for each in read], rows.emotions)
        pair.draw(2000, 1)
        alone = pair.difference(0, 1)[metric]
        assert drawn is not None and drawn[0] == pytest.approx(alone[0], abs=1e-12)
        assert found.value(other, mode, metric) == pytest.approx(float(pair.values(1)[metric][0]), abs=1e-12)
        assert judge(drawn, 100).p == pytest.approx(judge(alone, 100).p, abs=0.06)


def test_runs_that_were_asked_other_rows_are_compared_on_those_of_both() -> None:
    rows = rows_of("FER2013", "", {"a": 0.3, "b": 0.6}, slice(10))
    part = ComparedRuns(rows, DRAWS)
    read = rows.read["strict"]
    right = [(read[name].gold[:10] == read[name].prediction[:10]).all(1).mean() for name in "ab"]
    found = part.difference("a", "b", "strict", "accuracy")
    assert found is not None and found[0] == pytest.approx(right[1] - right[0])
    assert part.value("b", "strict", "accuracy") == right[1] and part.value("a", "strict", "accuracy") != right[0]
    rows.asked["a"][:10] = False
    assert ComparedRuns(rows, DRAWS).difference("a", "b", "strict", "accuracy") is None


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(st.text("abcdef", min_size=1, max_size=2), st.floats(-1, 1), min_size=2, max_size=8), st.randoms()
)
def test_the_best_and_all_that_no_test_tells_from_it_are_marked(values: dict[str, float], draw) -> None:
    tests = {
        name: draw.choice([Judged(0.0, None, p) for p in (0.0005, 0.01, 0.3, 1.0, None)] + [None]) for name in values
    }
    (found,), number = corrected([rank(values, lambda best, other: tests[other])])
    assert found is not None and values[found.best] == max(values.values()) and found.best in found.marked
    others = {name: tests[name] for name in values if name != found.best}
    tested = {name: one.p for name, one in others.items() if one and one.p is not None}
    expected = dict(zip(tested, holm(list(tested.values())), strict=True))
    few = {name for name, one in others.items() if one and one.p is None}
    assert found.marked - {found.best} == {name for name in tested if expected[name] >= 0.05} | few
    assert number == len(tested) and {name for name, p in found.p.items() if p is not None} == set(tested)


def test_p_is_corrected_for_all_columns_of_a_table() -> None:
    columns = [rank({"a": 0.5, "b": 0.4}, lambda best, other, p=p: Judged(0.1, None, p)) for p in (0.01, 0.02, 0.04)]
    found, number = corrected([*columns, None])
    assert number == 3 and found[3] is None
    assert [one.p["b"] for one in found if one] == pytest.approx(holm([0.01, 0.02, 0.04]))


def test_one_run_alone_is_the_best_of_nothing() -> None:
    assert rank({"a": 0.5}, lambda best, other: None) is None
