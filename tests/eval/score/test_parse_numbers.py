"""Strict mode: numbers, ordinal classes, and valence, arousal and dominance."""

import pytest

from tests.eval.score.answer_tasks import EI_OC, NONE, SIGNED, UNIT, V_OC, VAD, read


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
    ("task", "text", "answer"),
    [
        (UNIT, "**Score:** 0.7", 0.7),
        (UNIT, "Confidence: 0.9, Score: 0.7", 0.7),
        (UNIT, "The text has 3 insults.\n\n0.7", 0.7),
        (UNIT, "The anger intensity is about 0.7", 0.7),
        (UNIT, "0.7. The text is negative.", 0.7),
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
    ],
)
def test_few_forms_count(task, text, answer):
    assert read(task, text, "anger") == answer
