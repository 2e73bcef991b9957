import csv
import json
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval import paper
from eval.answers import Unparsed, parse
from eval.no_answer import no_answer
from mmafflm.benchmark import benchmark
from mmafflm.grammar import Labels, Ordinal, Vad

TASKS = {f"{name}/{task.key}": task for name, subset in benchmark().items() for task in subset.tasks}
UNIT = TASKS["semeval2018_english/ei_reg"]
SIGNED = TASKS["CHSIMS_SI/si"]
EI_OC, V_OC = TASKS["semeval2018_english/ei_oc"], TASKS["semeval2018_english/v_oc"]
XED, EMOTIC, SAMSEMO, FER = (TASKS[f"{name}/ec"] for name in ("XED", "EMOTIC_EC", "SAMSEMO", "FER2013"))
POLARITY, SHOPPING = TASKS["MMS/sp"], TASKS["onlineshopping/sp"]
VAD = TASKS["EMOTIC_SI/si"]
NONE = "unparsed"
CASES = Path(__file__).parents[3] / "shared" / "reference" / "strict_answers.csv"


def read(task, text, emotion=None):
    answer = parse(task, text, emotion)
    return NONE if isinstance(answer, Unparsed) else answer


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
        st.from_regex(r"\A[0-9]{300,400}\Z"),
    )
)
@settings(deadline=None)
def test_no_text_raises_and_every_answer_is_admissible(task, text):
    answer = parse(task, text)
    if not isinstance(answer, Unparsed):
        task.answer(answer, "joy")  # raises when it is outside the grammar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.734", 0.734),
        ("0,734", 0.734),
        (".5", 0.5),
        ("1", 1.0),
        ("٠٫٧", 0.7),
        ("०.७", 0.7),
        ("๐.๗", 0.7),
        ("０．７", 0.7),
        ("73%", 0.73),
        ("73 %", 0.73),
        ("٧٣٪", 0.73),
        ("0.5/1", 0.5),
        ("0.5 out of 1", 0.5),
        ("0.7.", 0.7),
        ("**0.7**", 0.7),
        ("The intensity score is 0.62.", 0.62),
        ("On a scale of 0 to 1, the intensity is 0.62", 0.62),
        ("The score is 0.62 on a scale from 0 to 1.", 0.62),
        ("It has 3 exclamation marks, so the score is 0.8", 0.8),
        ("", NONE),
        ("high", NONE),
        ("-0.7", NONE),
        ("1.01", NONE),
        ("150%", NONE),
        ("3/5", NONE),
        ("I'd say 3 of 5", NONE),
        ("0.2 or 0.8", NONE),
        ("between 0.2 and 0.4", NONE),
        ("0.3-0.5", NONE),
        ("0.1 0.9", NONE),
        ("version 1.2.3", NONE),
        ("9" * 5000, NONE),
    ],
)
def test_numbers_between_0_and_1(text, value):
    assert read(UNIT, text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-0.8", -0.8),
        ("−0,8", -0.8),
        ("-٠٫٨", -0.8),
        ("Intensity Score:-0.8", -0.8),
        ("-50%", -0.5),
        ("+1", 1.0),
        ("-1 (most negative) to 1 (most positive): -0.4", -0.4),
        ("-2", NONE),
        ("1.2", NONE),
    ],
)
def test_signed_numbers(text, value):
    assert read(SIGNED, text) == value


@pytest.mark.parametrize(
    ("task", "text", "value"),
    [
        (EI_OC, "2", 2),
        (EI_OC, "2: moderate amount of anger can be inferred", 2),
        (EI_OC, "moderate amount of anger can be inferred", 2),
        (EI_OC, "2: high amount of anger can be inferred", NONE),
        (EI_OC, "3: high amount. There are 2 insults", 3),
        (EI_OC, "2 of 3", 2),
        (EI_OC, "1 of 2", NONE),
        (EI_OC, "-2", NONE),
        (EI_OC, "0.9", NONE),
        (EI_OC, "2%", NONE),
        (EI_OC, "४", NONE),
        (V_OC, "-3: very negative mental state can be inferred", -3),
        (V_OC, "Intensity Class: -2", -2),
        (V_OC, "7, or 2", NONE),
        (V_OC, "very positive mental state", 3),
    ],
)
def test_ordinals(task, text, value):
    assert read(task, text, "anger") == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("valence: -1, arousal: 0, dominance: .5", (-1, 0, 0.5)),
        ("Valence -0.5; Arousal = 0,5; Dominance is 10%", (-0.5, 0.5, 0.1)),
        ('{"valence": 0.2, "arousal": -0.4, "dominance": 0.6}', (0.2, -0.4, 0.6)),
        ("valence: 0.2,arousal: -0.4,dominance: 0.6", (0.2, -0.4, 0.6)),
        ("valence - 0.2, arousal - 0.4, dominance - 0.6", (0.2, 0.4, 0.6)),
        ("valence: 0.2, arousal: -0.4", NONE),
        ("valence: 0.2, valence: 0.3, arousal: -0.4, dominance: 0.6", NONE),
        ("valence: 2, arousal: -0.4, dominance: 0.6", NONE),
        ("0.2, -0.4, 0.6", NONE),
    ],
)
def test_valence_arousal_dominance(text, value):
    expected = value if value == NONE else dict(zip(("valence", "arousal", "dominance"), value, strict=True))
    assert read(VAD, text) == expected


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("1. joy", ["joy"]),
        ("1", ["joy"]),
        ("joy", ["joy"]),
        ("1.joy,8.trust", ["joy", "trust"]),
        ("joy,sadness", ["joy", "sadness"]),
        ("8. trust, 1. joy, 8. trust", ["joy", "trust"]),
        ("1, 8", ["joy", "trust"]),
        ("1,8", ["joy", "trust"]),
        ("1 and 8", ["joy", "trust"]),
        ("١، ٨", ["joy", "trust"]),
        ("(1) Joy\n(8) Trust", ["joy", "trust"]),
        ("joy (1), trust (8)", ["joy", "trust"]),
        ("joy: 1, trust: 8", ["joy", "trust"]),
        ("- 1. joy\n- 8. trust", ["joy", "trust"]),
        ("**2. sadness**", ["sadness"]),
        ("The text expresses joy and trust.", ["joy", "trust"]),
        ("There are 2 people full of joy", NONE),
        ("It is between 1. joy and 2. sadness. The answer is 2. sadness.", ["sadness"]),
        ("not joy but sadness", ["sadness"]),
        ("not joy, 2. sadness", NONE),
        ("I am not sure, joy", NONE),
        ("sadness rather than joy", ["sadness"]),
        ("joy is not shown; sadness", ["sadness"]),
        ("joy: no, sadness: yes", ["sadness"]),
        ("not joy", NONE),
        ("no joy, fear or anger", NONE),
        ("It doesn't show any joy", NONE),
        ("without any sign of trust", NONE),
        ("enjoyment", NONE),
        ("joyful", NONE),
        ("anti-joy", NONE),
        ("2. joy", NONE),
        ("joy (2)", NONE),
        ("2, joy", NONE),
        ("12. joy", NONE),
        ("99", NONE),
        ("1, 99", NONE),
        ("joy 0.7, sadness 0.3", NONE),
        ("There are 3 people", NONE),
        ("happiness", NONE),
        ("", NONE),
    ],
)
def test_labels_of_a_set(text, labels):
    assert read(XED, text) == labels


@pytest.mark.parametrize(
    ("task", "text", "labels"),
    [
        (EMOTIC, "16. doubt/confusion", ["doubt/confusion"]),
        (EMOTIC, "Doubt / Confusion, 8. peace", ["peace", "doubt/confusion"]),
        (EMOTIC, "doubt", NONE),
        (SAMSEMO, "99. other emotions", ["other emotions"]),
        (SAMSEMO, "99", ["other emotions"]),
        (SAMSEMO, "other", ["other emotions"]),
        (SAMSEMO, "happiness for other reasons", NONE),
        (SAMSEMO, "1. happiness, 99. other emotions", ["happiness", "other emotions"]),
        (SAMSEMO, "1. happiness, 2. sadness, 3. anger", NONE),
        (SAMSEMO, "7", NONE),
        (FER, "1. happiness, 2. sadness", NONE),
        (FER, "happy", ["happiness"]),
        (FER, "1. joy", ["happiness"]),
        (FER, "图中的人很高兴", ["happiness"]),
        (FER, "他不高兴", NONE),
        (POLARITY, "-1. negative", ["negative"]),
        (POLARITY, "-1", ["negative"]),
        (POLARITY, "−１", ["negative"]),
        (POLARITY, "1", ["positive"]),
        (POLARITY, "1.0", ["positive"]),
        (POLARITY, "0. neutral", ["neutral"]),
        (POLARITY, "10", NONE),
        (POLARITY, "1. negative", NONE),
        (POLARITY, "-1. positive", NONE),
        (POLARITY, "non-negative", NONE),
        (POLARITY, "not negative", NONE),
        (POLARITY, "The sentiment is positive.", ["positive"]),
        (POLARITY, "positive and negative", NONE),
        (SHOPPING, "0. neutral", NONE),
        (SHOPPING, "1. Positive", ["positive"]),
    ],
)
def test_labels_of_other_sets(task, text, labels):
    assert read(task, text) == labels


def test_a_reason_is_given():
    assert parse(FER, "1. happiness, 2. sadness") == Unparsed("2 labels, where an answer has at most 1")
    assert parse(UNIT, "2") == Unparsed("2 is outside 0..1")
    assert parse(UNIT, "0.2 or 0.8") == Unparsed("a range or a choice of answers")
    assert parse(UNIT, "There is 1 person") == Unparsed("no answer in a form that counts")
    assert parse(UNIT, no_answer("status 400, too long")) == Unparsed("status 400, too long")
    assert paper.parse(UNIT, no_answer("status 400, too long")) == paper.parse(UNIT, "")


@pytest.mark.skipif(not CASES.exists(), reason="../shared/reference is not here")
def test_what_a_person_reads():
    for row in csv.DictReader(CASES.open(encoding="utf-8")):
        answer = read(TASKS[f"{row['subset']}/{row['task']}"], row["answer"], row["emotion"] or None)
        assert answer == json.loads(row["expected"]), row


@pytest.mark.parametrize(
    ("task", "text", "answer"),
    [
        (UNIT, "**Score:** 0.7", 0.7),
        (UNIT, "Confidence: 0.9, Score: 0.7", 0.7),
        (UNIT, "The text has 3 insults.\n\n0.7", 0.7),
        (UNIT, "The anger intensity is about 0.7", 0.7),
        (UNIT, "Fear: 0.7", NONE),
        (UNIT, "0.7. Or maybe 0.5.", NONE),
        (UNIT, "at least 0.5", NONE),
        (UNIT, "1. The text is angry", NONE),
        (UNIT, "0.7²", NONE),
        (UNIT, "½", NONE),
        (UNIT, "7/10", NONE),
        (UNIT, "0、7", NONE),
        (UNIT, "Respuesta: 0,7", 0.7),
        (UNIT, "0.7<|im_end|>", 0.7),
        (UNIT, "<think>0.2", NONE),
        (UNIT, "<answer>0.7</answer>", 0.7),
        (UNIT, "$\\boxed{\\text{0.7}}$", 0.7),
        (UNIT, "\\boxed{0.7} or \\boxed{0.8}", NONE),
        (UNIT, '{"reason": "3 insults, so 0.2", "intensityScore": "0.7"}', 0.7),
        (UNIT, '{"confidence": 0.9}', NONE),
        (UNIT, "[" * 5000, NONE),
        (UNIT, '{"score":' * 5000, NONE),
        (SIGNED, "0.4 (negative)", NONE),
        (SIGNED, "-0.4 (negative)", -0.4),
        (SIGNED, "The sentiment is - 0.4", -0.4),
        (SIGNED, "score - 0.4", 0.4),
        (EI_OC, "2/3", 2),
        (EI_OC, "1-2", NONE),
        (EI_OC, "Class 2, not 3", 2),
        (EI_OC, "2. The author is angry", NONE),
        (V_OC, "2 (negative)", NONE),
        (XED, "joy, not anger", ["joy"]),
        (XED, "not joy, anger", NONE),
        (XED, "joy is not present", NONE),
        (XED, "joy? no", NONE),
        (XED, "joy. However, anger is possible.", NONE),
        (XED, "joy (confidence: 0.9)", ["joy"]),
        (XED, "2. sadness - the author lost a friend", ["sadness"]),
        (XED, "Based on the text, the emotions are:\n1. joy\n8. trust", ["joy", "trust"]),
        (XED, '{"emotions": ["joy", "trust"], "confidence": 0.9}', ["joy", "trust"]),
        (XED, '{"joy": true, "anger": false}', ["joy"]),
        (XED, '{"joy": 0.9, "anger": 0.1}', NONE),
        (XED, "1,000", NONE),
        (XED, "1. joy\n8. trust\n\nThe author is proud of 2 friends.", ["joy", "trust"]),
        (XED, "1. joy: they win\n8. trust: they hug", ["joy", "trust"]),
        (XED, "1. joy; 8. trust?", NONE),
        (XED, "1. joy\nperhaps trust", NONE),
        (XED, "1. joy is absent", NONE),
        (XED, "The answer is joy; trust perhaps", NONE),
        (XED, "The emotions are joy\ntrust\n\nThey win 3 times.", ["joy", "trust"]),
        (XED, "maybe joy", NONE),
        (POLARITY, "- 1", ["negative"]),
        (POLARITY, "The test was positive", NONE),
        (POLARITY, "no negative feelings", NONE),
        (FER, "不是高兴，而是愤怒", ["anger"]),
        (FER, "高兴或愤怒", NONE),
    ],
)
def test_few_forms_count(task, text, answer):
    assert read(task, text, "anger") == answer


def calls_of(function, *given):
    """How many functions, Python's and C's, are called by a call."""
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
            read_by(task, text)  # what is made once is made
            small, large = (calls_of(read_by, task, text * (size // len(text))) for size in (2_000, 4_000))
            assert large <= 2.1 * small + 50, (text, small, large)


@pytest.mark.parametrize("task", [UNIT, V_OC, VAD, XED, POLARITY], ids=lambda task: task.prompt_id)
@pytest.mark.parametrize("read_by", [parse, paper.parse])
def test_a_long_text_ends(task, read_by):
    """An expression that tried every way to part one of these would take hours."""
    for piece in PIECES:
        for text in (piece, f"valence{piece}"):
            read_by(task, text * (200_000 // len(text)))
            read_by(task, f"valence{piece * (9_000 // len(piece))}!")
    read_by(VAD, "valence" + "\n" * 1_000_000)
    read_by(task, "0" * 5000 + "2")
