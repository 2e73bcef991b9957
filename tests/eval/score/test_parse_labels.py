"""Strict mode: sets of labels."""

import pytest

from tests.eval.score.answer_tasks import EMOTIC, FER, NONE, POLARITY, SAMSEMO, SHOPPING, XED, read


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


@pytest.mark.parametrize(
    ("task", "text", "answer"),
    [
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
        (XED, "1. joy. The emotion is trust.", NONE),
        (XED, "It is 12. joy", NONE),
        (POLARITY, "- 1", ["negative"]),
        (POLARITY, "The test was positive", NONE),
        (POLARITY, "no negative feelings", NONE),
        (FER, "不是高兴，而是愤怒", ["anger"]),
        (FER, "高兴或愤怒", NONE),
    ],
)
def test_few_forms_count(task, text, answer):
    assert read(task, text, "anger") == answer
