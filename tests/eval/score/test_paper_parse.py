import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.score.paper_parse import parse
from mmafflm.benchmark.benchmark import benchmark

TASKS = {f"{name}/{task.key}": task for name, subset in benchmark().items() for task in subset.tasks}


def value(task, text):
    return parse(TASKS[task], text).value


def named(task, text):
    names = TASKS[task].grammar.names
    return [name for name, chosen in zip(names, value(task, text), strict=True) if chosen]


@pytest.mark.parametrize("task", ["semeval2018_english/ei_reg", "CFAPS_EI/ei"])
@pytest.mark.parametrize(
    ("text", "number"),
    [("-0.7", 0.7), ("0.5/1", 0.5), ("1", 1.0), ("I'd say 3 of 5", 1.0), ("", 0.5), ("-3", 0.0), ("10.5", 1.0),
     ("2 or 0.25", 0.25), ("0.734\n", 0.734), ("9" * 5000, 1.0)],
)  # fmt: skip
def test_numbers_0_to_1(task, text, number):
    assert value(task, text) == number


@pytest.mark.parametrize(
    ("task", "text", "number"),
    [
        ("semeval2018_english/ei_oc", "0.9", 0),
        ("semeval2018_english/ei_oc", "-2", 0),
        ("semeval2018_english/ei_oc", "7", 3),
        ("semeval2018_english/ei_oc", "none", 0),
        ("semeval2018_english/ei_oc", "2: moderate amount of anger can be inferred", 2),
        ("semeval2018_english/v_oc", "7, or 2", 2),
        ("semeval2018_english/v_oc", "-3: very negative mental state can be inferred", -3),
        ("semeval2018_english/v_oc", "7", 0),
        ("semeval2018_english/v_reg", "-0.718", -0.718),
        ("semeval2018_english/v_reg", "-7", -1.0),
        ("CHSIMS_SI/si", "", 0.0),
        ("CHSIMS_SI/si", ".5", 1.0),
    ],
)
def test_ordinals_and_signed_numbers(task, text, number):
    assert value(task, text) == number


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("valence: 0.2, arousal: -0.4, dominance: 0.6", (0.2, -0.4, 0.6)),
        ("valence: -1, arousal: 1, dominance:-.5", (0.0, 1.0, -0.5)),
        ("valence -0.5 arousal - -0.5", (0.5, -0.5, 0.0)),
        ("Valence: 0.5, arousal: 7", (0.0, 7.0, 0.0)),
        ("valence:\n0.5", (0.5, 0.0, 0.0)),
    ],
)
def test_valence_arousal_dominance(text, numbers):
    assert value("EMOTIC_SI/si", text) == numbers


@pytest.mark.parametrize(
    ("task", "text", "names"),
    [
        ("EMOTIC_EC/ec", "16. doubt/confusion", ["doubt/confusion"]),
        ("EMOTIC_EC/ec", "1. happiness, 16. doubt/confusion", ["happiness"]),
        ("EMOTIC_EC/ec", "1. Happiness, 8. Peace", ["happiness", "peace"]),
        ("EMOTIC_EC/ec", "0. neutral", ["neutral"]),
        ("SAMSEMO/ec", "99. other emotions", []),
        ("SAMSEMO/ec", "7", ["other emotions"]),
        ("SAMSEMO/ec", "1. happiness, 99. other emotions", ["happiness"]),
        ("XED/ec", "not happy", []),
        ("XED/ec", "joy,sadness", []),
        ("XED/ec", "joy, sadness", ["joy", "sadness"]),
        ("XED/ec", "joy and sadness.", ["joy", "sadness"]),
        ("XED/ec", "not joy", ["joy"]),
        ("XED/ec", "disorder 2", ["sadness"]),
        ("XED/ec", "1.joy", ["joy"]),
        ("XED/ec", "2. joy", ["joy"]),
        ("XED/ec", "1or2", ["joy", "sadness"]),
        ("XED/ec", "-1, 12", ["joy"]),
        ("XED/ec", "0", ["neutral"]),
        ("FER2013/ec", "1. happiness 2. sadness", ["happiness", "sadness"]),
        ("EWECT_usual/ec", "disgust", []),
        ("MELD_EC/ec", "6", ["disgust"]),
        ("semeval2018_arabic/e_c", "11. trust", ["trust"]),
    ],
)
def test_label_sets(task, text, names):
    assert named(task, text) == names


@pytest.mark.parametrize(
    ("text", "three", "two"),
    [
        ("-1. negative", -1, -1),
        ("NEGATIVE", -1, -1),
        ("1.0", 0, 1),
        ("10", 0, 1),
        ("0. Neutral", 0, 9),
        ("1. positive", 1, 1),
        ("Positive", 1, 1),
        ("not negative but positive", -1, -1),
        ("?", 9, 9),
    ],
)
def test_polarity(text, three, two):
    assert [value(task, text) for task in ("MMS/sp", "MELD_SP/sp", "CHSIMS_SP/sp")] == [three] * 3
    assert value("onlineshopping/sp", text) == two


def test_a_default_is_known_as_one():
    assert not parse(TASKS["XED/ec"], "hm").found
    assert not parse(TASKS["CHSIMS_SI/si"], "hm").found
    assert parse(TASKS["XED/ec"], "joy").found


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
@given(text=st.text())
def test_no_text_raises(task, text):
    parse(task, text)


def test_the_number_after_the_last_class_is_no_label():
    classes = len(TASKS["FER2013/ec"].grammar.names)
    assert parse(TASKS["FER2013/ec"], str(classes - 1)).found and not parse(TASKS["FER2013/ec"], str(classes)).found
