import csv
import json
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.run.no_answer import no_answer
from eval.score import paper_parse as paper
from eval.score.parse import Unparsed, parse
from mmafflm.benchmark.grammar import Labels, Ordinal, Vad
from tests.eval.score.answer_tasks import EI_OC, EMOTIC, FER, NONE, POLARITY, SIGNED, TASKS, UNIT, V_OC, VAD, XED, read
from tests.paths import SHARED

CASES = SHARED / "reference" / "strict_answers.csv"
MORE_CASES = Path(__file__).parent / "person_reads.csv"


def rows(path):
    for row in csv.DictReader(path.open(encoding="utf-8")):
        answer = read(TASKS[f"{row['subset']}/{row['task']}"], row["answer"], row["emotion"] or None)
        yield row["answer"], answer, json.loads(row["expected"])


def golds(task):
    grammar = task.grammar
    if isinstance(grammar, Labels):
        return st.sets(st.sampled_from(grammar.names), min_size=1, max_size=grammar.most).map(
            lambda names: grammar.sort(list(names))
        )
    if isinstance(grammar, Ordinal):
        return st.sampled_from([number for number, _ in grammar.classes])
    number = st.floats(grammar.low, grammar.high)
    if grammar.decimals is not None:
        number = number.map(lambda value: round(value, grammar.decimals) + 0.0)
    return st.fixed_dictionaries(dict.fromkeys(grammar.dimensions, number)) if isinstance(grammar, Vad) else number


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_what_is_rendered_is_read(task, data):
    gold = data.draw(golds(task))
    emotion = data.draw(st.sampled_from(task.emotions)) if task.emotions else None
    assert parse(task, task.answer(gold, emotion), emotion) == gold


@pytest.mark.parametrize("task", [UNIT, EI_OC, V_OC, VAD, XED, EMOTIC, POLARITY], ids=lambda task: task.prompt_id)
@given(
    text=st.one_of(
        st.text(),
        st.text(alphabet='0123456789.,-%:()\n joynteg/²١९{}[]"\\\ud800\x00'),
        st.integers(10**300, 10**400).map(str),
    )
)
@settings(deadline=None)
def test_no_text_raises_and_every_answer_is_admissible(task, text):
    answer = parse(task, text)
    if not isinstance(answer, Unparsed):
        task.answer(answer, "joy")  # raises for an answer outside the grammar


def test_a_reason_is_given():
    assert parse(FER, "1. happiness, 2. sadness") == Unparsed("2 labels, where an answer has at most 1")
    assert parse(UNIT, "2") == Unparsed("2 is outside 0..1")
    assert parse(UNIT, "0.2 or 0.8") == Unparsed("a range or a choice of answers")
    assert parse(UNIT, "There is 1 person") == Unparsed("no answer in a form that counts")
    assert parse(UNIT, no_answer("status 400, too long")) == Unparsed("status 400, too long")
    assert paper.parse(UNIT, no_answer("status 400, too long")) == paper.parse(UNIT, "")


@pytest.mark.skipif(not CASES.exists(), reason="../shared/reference is not here")
def test_what_a_person_reads():
    for text, answer, expected in rows(CASES):
        assert answer == expected, text


def test_what_a_person_reads_is_never_read_otherwise():
    unread = [text for text, answer, expected in rows(MORE_CASES) if answer != expected and answer == NONE]
    misread = [text for text, answer, expected in rows(MORE_CASES) if answer not in (expected, NONE)]
    assert misread == []
    assert len(unread) <= 5, unread


def calls_of(function, *given):
    """How many functions, Python's and C's, a call calls."""
    count = 0

    def called(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(called)
    try:
        function(*given)
    finally:
        sys.setprofile(None)
    return count


PIECES = ["valence", "\n", " ", "\t", "0.", "1,000,", "-", "(", ")", "joy ", "1. ", "not ", "or ", "valence: ", "0.1 "]
PIECES += ["so ", ", the score is ", "{", "[", "\\boxed{", "```", "<think>", "</think>", "-1. ", "negative ", "x "]


@pytest.mark.parametrize("task", [UNIT, SIGNED, V_OC, VAD, XED, EMOTIC, POLARITY], ids=lambda task: task.prompt_id)
@pytest.mark.parametrize("read_by", [parse, paper.parse])
def test_twice_the_text_is_at_most_twice_the_steps(task, read_by):
    for piece in PIECES:
        for text in (piece, f"x{piece}", f"valence{piece}"):
            read_by(task, text)  # fills the caches
            small, large = (calls_of(read_by, task, text * (size // len(text))) for size in (1_000, 2_000))
            assert large <= 2.1 * small + 50, (text, small, large)


@pytest.mark.parametrize("task", [UNIT, V_OC, VAD, XED, POLARITY], ids=lambda task: task.prompt_id)
@pytest.mark.parametrize("read_by", [parse, paper.parse])
def test_a_long_text_ends(task, read_by):
    """A regular expression that tried every way to split one of these texts would take hours."""
    for piece in PIECES:
        for text in (piece, f"valence{piece}"):
            read_by(task, text * (100_000 // len(text)))
            read_by(task, f"valence{piece * (9_000 // len(piece))}!")
    read_by(VAD, "valence" + "\n" * 1_000_000)
    read_by(task, "0" * 5000 + "2")


def test_the_longest_text_that_is_read():
    text = "0.7" + " " * 9_996
    assert len(text) == 9_999 and parse(UNIT, text) == 0.7
    assert parse(UNIT, f"{text} ") == Unparsed("longer than 10,000 characters")


def test_a_sign_in_words_contradicts_only_on_a_signed_scale():
    assert parse(UNIT, "0.7 (positive)") == parse(UNIT, "0.7 (negative)")
    assert parse(SIGNED, "0.7 (positive)") == 0.7 != parse(SIGNED, "0.7 (negative)")


def test_numbers_that_differ_contradict_in_either_order():
    for text in ("0.2. The score is 0.8.", "0.8. The score is 0.2."):
        assert parse(UNIT, text) == Unparsed("answers that contradict each other"), text
    assert parse(UNIT, "0.8. The score is 0.8.") == 0.8


def test_all_boxes_must_agree():
    for boxes in ("\\boxed{0.2} \\boxed{0.3}", "\\boxed{0.2} \\boxed{0.2} \\boxed{0.3}"):
        assert isinstance(parse(UNIT, boxes), Unparsed)
    assert parse(UNIT, "\\boxed{0.2} \\boxed{0.2}") == 0.2


def test_what_lies_between_two_announcements_belongs_to_the_answer():
    assert parse(XED, "The answer is joy.\nanger\nThe answer is joy.") == ["joy", "anger"]
    assert isinstance(parse(XED, "The answer is joy.\nThe answer is joy, anger."), Unparsed)


def test_an_arabic_thousands_separator_is_no_decimal_point():
    assert parse(UNIT, "1\u066c000") == Unparsed("1000 is outside 0..1")
    assert parse(UNIT, "\u0660\u066b\u0667") == 0.7
