import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.leaderboard.answers import RowsOfRuns
from eval.leaderboard.draws import ResampledRuns, rank
from eval.score.bootstrap import distribution
from eval.score.measure import measure
from eval.score.paired import holm, seed_of
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
    return RowsOfRuns(task, None, emotions, np.array(["en"] * n), masks, read)


@pytest.mark.parametrize(("subset", "key", "metric"), TASKS)
@pytest.mark.parametrize("mode", ["strict", "paper"])
def test_all_runs_together_give_what_each_gives_alone(subset: str, key: str, metric: str, mode: str) -> None:
    rows = rows_of(subset, key, {"a": 0.3, "b": 0.6})
    found = ResampledRuns(rows, DRAWS).difference("a", "b", mode, metric)
    assert found is not None
    seed, emotions = seed_of("leaderboard", rows.task.name, ""), rows.emotions

    def alone(name: str) -> np.ndarray:
        read = rows.read[mode][name]
        parts = [np.ones(len(read.gold), dtype=bool)] if emotions is None else [emotions == e for e in set(emotions)]

        def score(weights: np.ndarray) -> dict[str, np.ndarray]:
            with np.errstate(invalid="ignore"):
                each = [measure(rows.task, mode, read.gold[of], read.prediction[of], weights[:, of]) for of in parts]
            return {metric: np.mean([one[metric] for one in each], axis=0)}

        ones = np.ones(len(read.gold))
        return np.concatenate([score(ones[None])[metric], distribution(score, ones, DRAWS, seed)[metric]])

    np.testing.assert_allclose(found, alone("b") - alone("a"), atol=1e-12)


@pytest.mark.parametrize(("subset", "key", "metric"), TASKS)
def test_twins_do_not_differ_wherever_they_are(subset: str, key: str, metric: str) -> None:
    rows = rows_of(subset, key, {str(at): 0.3 for at in range(20)})
    for of in rows.read.values():
        of.update(dict.fromkeys(of, of["0"]))
    found = ResampledRuns(rows, DRAWS)
    for mode in rows.read:
        drawn = [found.difference("0", str(at), mode, metric) for at in range(1, 20)]
        assert all(one is not None and not one[np.isfinite(one)].any() for one in drawn)


def test_runs_that_were_asked_other_rows_are_compared_on_those_of_both() -> None:
    rows = rows_of("FER2013", "", {"a": 0.3, "b": 0.6}, slice(10))
    part = ResampledRuns(rows, DRAWS)
    read = rows.read["strict"]
    right = [(read[name].gold[:10] == read[name].prediction[:10]).all(1).mean() for name in "ab"]
    found = part.difference("a", "b", "strict", "accuracy")
    assert found is not None and found[0] == pytest.approx(right[1] - right[0])
    assert part.value("b", "strict", "accuracy") == right[1] and part.value("a", "strict", "accuracy") != right[0]
    rows.asked["a"][:10] = False
    assert ResampledRuns(rows, DRAWS).difference("a", "b", "strict", "accuracy") is None


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(st.text("abcdef", min_size=1, max_size=2), st.floats(-1, 1), min_size=2, max_size=8), st.randoms()
)
def test_the_best_and_all_that_the_test_cannot_tell_from_it_are_marked(values: dict[str, float], draw) -> None:
    p = {name: draw.choice([0.0005, 0.01, 0.02, 0.3, 1.0, None]) for name in values}
    found = rank(values, lambda best, other: p[other])
    assert found is not None and values[found.best] == max(values.values()) and found.best in found.marked
    tested = [name for name in values if name != found.best and p[name] is not None]
    expected = dict(zip(tested, holm([p[name] for name in tested]), strict=True))
    assert found.marked - {found.best} == {name for name in tested if expected[name] >= 0.05}
    assert all(found.p[name] is None for name in values if name != found.best and p[name] is None)


def test_one_run_alone_is_the_best_of_nothing() -> None:
    assert rank({"a": 0.5}, lambda best, other: 1.0) is None
