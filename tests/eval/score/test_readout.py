"""Readouts as pure functions: planted distributions in, the answer's text out."""

import math
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.score.parse import Unparsed, parse
from eval.score.readout import Candidate, candidates, choose, log_shares, needs_thresholds, read_out, readout_of
from eval.score.thresholds import ENOUGH, fit
from mmafflm.benchmark.benchmark import Task, benchmark
from mmafflm.benchmark.grammar import Gold, Labels, Number, Ordinal, Vad
from mmafflm.errors import UsageFault

TASKS = [task for subset in benchmark().values() for task in subset.tasks]
ASKED = [(task, emotion) for task in TASKS for emotion in task.emotions or (None,)]


def name_of(asked: tuple[Task, str | None]) -> str:
    return f"{asked[0].subset}-{asked[0].key}-{asked[1]}"


def planted(found: tuple[Candidate, ...], shares: Mapping[str, float]) -> list[float]:
    """Log-likelihoods with these shares for the named texts and almost nothing for the others; in all a millionth."""
    assert set(shares) <= {one.text for one in found}
    return [math.log(shares.get(one.text, 1e-30)) - 14 for one in found]


def task_of(name: str) -> Task:
    subset, _, key = name.partition(" ")
    return benchmark()[subset].task(key) if key else benchmark()[subset].tasks[0]


@pytest.mark.parametrize("asked", ASKED, ids=name_of)
def test_every_candidate_parses_back_to_itself(asked: tuple[Task, str | None]) -> None:
    task, emotion = asked
    found = candidates(task, emotion)
    assert len({one.text for one in found}) == len(found) > 1
    for one in found:
        assert parse(task, one.text, emotion) == one.value
        assert one.text == task.answer(one.value, emotion)
    if isinstance(task.grammar, Labels | Ordinal):
        classes = task.grammar.labels if isinstance(task.grammar, Labels) else task.grammar.classes
        assert len(found) == len(classes)


@given(st.sampled_from(ASKED), st.data())
def test_every_readout_is_an_answer(asked: tuple[Task, str | None], data: st.DataObject) -> None:
    task, emotion = asked
    weights = st.lists(st.floats(-200, 0), min_size=(size := len(candidates(task, emotion))), max_size=size)
    logp = data.draw(weights)
    thresholds = None
    if isinstance(task.grammar, Labels) and task.grammar.most > 1:
        thresholds = {name: data.draw(st.floats(-20, 0)) for name in task.grammar.names}
    text = read_out(task, logp, emotion, thresholds)
    answer = parse(task, text, emotion)
    assert not isinstance(answer, Unparsed)
    assert read_out(task, [one - 7.0 for one in logp], emotion, thresholds) == text or not isinstance(answer, list)
    if isinstance(answer, float):
        values = np.array([one.value for one in candidates(task, emotion)])
        assert answer == pytest.approx(float(np.exp(log_shares(logp)) @ values), abs=6e-5)


@pytest.mark.parametrize(
    ("name", "shares", "text"),
    [
        ("semeval2018_english ei_reg", {"0.200": 0.5, "0.700": 0.5}, "0.4500"),
        ("semeval2018_english v_reg", {"-1.000": 1.0}, "-1.0000"),
        ("semeval2018_english v_reg", {"0.000": 0.9, "-0.200": 0.1}, "-0.0200"),
        ("CHSIMS_SI", {"-0.8": 0.25, "0.8": 0.75}, "0.4000"),
        ("CFAPS_EI", {"0.0": 0.5, "0.1": 0.5}, "0.0500"),
        ("MMS", {"-1. negative": 0.3, "0. neutral": 0.3, "1. positive": 0.4}, "1. positive"),
        ("MELD_EC", {"4. fear": 0.6, "0. neutral": 0.4}, "4. fear"),
    ],
)
def test_planted_distributions(name: str, shares: dict[str, float], text: str) -> None:
    task = task_of(name)
    assert read_out(task, planted(candidates(task), shares)) == text


def test_an_ordinal_is_the_class_nearest_to_the_mean() -> None:
    task = task_of("semeval2018_english ei_oc")
    texts = [one.text for one in candidates(task, "fear")]
    assert texts[2] == "2: moderate amount of fear can be inferred"
    logp = planted(candidates(task, "fear"), {texts[0]: 0.4, texts[3]: 0.6})  # the mean is 1.8; the peak is 3
    assert read_out(task, logp, "fear") == texts[2]


def test_a_dimension_is_read_where_the_others_stand_at_the_middle() -> None:
    task = task_of("EMOTIC_SI")
    shares = {
        "valence: 0.111, arousal: 0.111, dominance: 0.111": 0.1,
        "valence: 1.000, arousal: 0.111, dominance: 0.111": 0.3,
        "valence: 0.111, arousal: -1.000, dominance: 0.111": 0.1,
    }
    text = read_out(task, planted(candidates(task), shares))
    assert text == "valence: 0.7778, arousal: -0.4445, dominance: 0.1110"
    assert len(candidates(task)) == 28


XED = task_of("XED").grammar
assert isinstance(XED, Labels)
LEVEL: dict[str, float | None] = dict.fromkeys(XED.names, math.log(0.3))


def chosen(shares: dict[str, float], labels: Labels = XED, thresholds: Mapping[str, float | None] = LEVEL) -> list[str]:
    return choose(labels, np.log([shares.get(name, 1e-9) for name in labels.names]), thresholds)


def test_a_label_set_is_every_label_above_its_threshold() -> None:
    assert chosen({"joy": 0.35, "trust": 0.4, "anger": 0.25}) == ["joy", "trust"]
    assert chosen({"joy": 0.35, "anger": 0.25}, thresholds=LEVEL | {"anger": math.log(0.2)}) == ["joy", "anger"]
    assert chosen({"joy": 0.35, "anger": 0.25, "fear": 0.3}) == ["joy", "fear"], "fear lies at its threshold"
    assert chosen({"joy": 0.2, "anger": 0.25}) == ["anger"], "none passes: the one that misses it by least"
    assert chosen({"neutral": 0.5, "joy": 0.4}) == ["neutral"], "neutral stands alone"
    assert chosen({"neutral": 0.4, "joy": 0.5}) == ["joy"]
    assert chosen({"neutral": 0.9, "joy": 0.1}, thresholds=LEVEL | {"neutral": None}) == ["joy"], "without one: never"


def test_a_label_set_has_at_most_as_many_labels_as_the_prompt_allows() -> None:
    labels = task_of("SAMSEMO").grammar
    assert isinstance(labels, Labels)
    level: dict[str, float | None] = dict.fromkeys(labels.names, math.log(0.1))
    assert chosen({"fear": 0.2, "anger": 0.3, "disgust": 0.4}, labels, level) == ["anger", "disgust"]


def test_thresholds_part_what_can_be_parted() -> None:
    draw = np.random.default_rng(3)
    gold = draw.random((300, len(XED.names))) < np.array([0, 0.5, 0.3, 0.2, 0.05, 0.1, 0.1, 0.1, 0.004])
    level = np.log([0.1, 0.4, 0.01, 0.001, 0.02, 0.1, 0.1, 0.1, 0.1])  # each label's prior share
    shares = level + np.where(gold, 0.5, -0.5) + draw.uniform(-0.2, 0.2, gold.shape)
    fitted = fit(XED, shares, gold)
    assert set(fitted.thresholds) == set(XED.names)
    rows = gold.sum(0)
    assert fitted.common == [name for at, name in enumerate(XED.names) if 0 < rows[at] < ENOUGH] == ["trust"]
    assert [name for name, level in fitted.thresholds.items() if level is None] == ["neutral"]
    for at, name in enumerate(XED.names):
        if (own := fitted.thresholds[name]) is not None and name not in fitted.common:
            assert ((shares[:, at] >= own) == gold[:, at]).all(), name


@pytest.mark.parametrize(("rows", "own"), [(ENOUGH, True), (ENOUGH - 1, False)])
def test_so_many_rows_are_enough_for_a_threshold_of_its_own(rows: int, own: bool) -> None:
    """Joy's rows have small shares, those of all others large ones, so the common cut would miss joy."""
    gold = np.zeros((200, len(XED.names)), dtype=bool)
    gold[:rows, XED.names.index("joy")] = True
    gold[100:, 2:] = True
    shares = np.where(gold, -0.5, -9.0)
    shares[:rows, XED.names.index("joy")] = -4.0
    fitted = fit(XED, shares, gold)
    assert (fitted.thresholds["joy"] == pytest.approx(-6.5)) is own and (fitted.common == ["joy"]) is not own


@given(st.integers(1, 30), st.integers(0, 2**20))
def test_thresholds_are_numbers_whatever_the_rows(rows: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    shares = np.round(draw.uniform(-5, 0, (rows, len(XED.names))), draw.integers(0, 4))
    gold = draw.random(shares.shape) < draw.random()
    fitted = fit(XED, shares, gold)
    assert [value is None for value in fitted.thresholds.values()] == [not any(column) for column in gold.T]
    assert all(value is None or math.isfinite(value) for value in fitted.thresholds.values())


def test_a_readout_reads_the_tasks_that_it_is_made_for() -> None:
    for task in TASKS:
        labels = isinstance(task.grammar, Labels)
        assert readout_of(task, "expectation") == ("greedy" if labels else "expectation")
        assert readout_of(task, "choice") == ("choice" if labels else "greedy")
        assert readout_of(task, "greedy") == "greedy"
        assert needs_thresholds(task) == (
            labels and task.paper_accuracy == "weighted_jaccard" and task.grammar.most > 1
        )
    with pytest.raises(UsageFault, match="--readout beam: not one of greedy, expectation, choice"):
        readout_of(TASKS[0], "beam")


def test_scales_are_covered_to_their_ends() -> None:
    def ends(value: Gold) -> list[float]:
        return list(value.values()) if isinstance(value, dict) else [float(value)]  # type: ignore[arg-type]

    for task, emotion in ASKED:
        if isinstance(task.grammar, Number | Vad):
            values = [end for one in candidates(task, emotion) for end in ends(one.value)]
            assert (min(values), max(values)) == (task.grammar.low, task.grammar.high)
