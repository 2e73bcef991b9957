"""Strict mode: a model's text becomes an Answer or Unparsed(reason). Nothing is guessed (scoring.md, `strict`)."""

import re
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple, TypeAlias

from eval.label_answers import read_labels
from eval.normal import plain
from mmafflm.benchmark import Task
from mmafflm.grammar import Gold, Labels, Number, Ordinal, Vad

Answer: TypeAlias = Gold


@dataclass(frozen=True, slots=True)
class Unparsed:
    """No admissible answer stands in the text, and why."""

    reason: str


class _Found(NamedTuple):
    value: float
    start: int
    end: int


# A number that is no part of a word, a version or a range: "GPT-4", "1.2.3" and "0.3-0.5" hold none. The minus belongs
# to the number when it touches it and nothing touches the minus; "0,5" is a decimal comma, "0.5, 0.7" is a list.
_NUMBER = r"(?<![\w.,\-+])[-+]?(?:\d+(?:[.,]\d+)?|\.\d+)(?:e[-+]?\d+)?(?:\s?%|\spercent\b)?(?!\w|[.,]\d|-\d)"
_CUE = re.compile(
    r"[:=]|->|→|\b(?:score|intensity|class|answer|rating|valence|level|is|are|be|say|says|rate|give|guess|estimate|"
    r"approximately|about|around|so|thus|therefore)\b"
)
_PAIR = re.compile(r"\s*(?:to|and|or|through|(?:out\s)?of|-|~|/)\s*")  # between numbers: a range or a choice
_DASH = r"(?:[:=]|\bis\b|\bof\b|-(?=\s))?"


def parse(task: Task, text: str, emotion: str | None = None) -> Answer | Unparsed:
    """What `text` answers to `task`: canonical labels in class order, a number, or a number per dimension.

    `emotion` is the record's, for the wording of ordinal classes. Never raises. Source: scoring.md, `strict` mode.
    """
    text = plain(text)
    grammar = task.grammar
    if isinstance(grammar, Labels):
        labels = read_labels(grammar, text)
        return labels if isinstance(labels, list) else Unparsed(labels)
    if isinstance(grammar, Vad):
        return _vad(grammar, text)
    if isinstance(grammar, Ordinal):
        return _ordinal(grammar, text, emotion)
    return _number(grammar, text)


def _value(written: str) -> float:
    """The number behind a match of _NUMBER; a percentage is a hundredth. Digits without end become infinite."""
    digits = written.replace("percent", "%").replace(" ", "").replace(",", ".")
    if digits.endswith("%"):
        return float(digits[:-1].strip()) / 100
    return float(digits)


@cache
def _scale(low: float, high: float) -> re.Pattern[str]:
    """How a sentence names the whole scale, "0 to 1"; and a value out of it, "0.5/1", whose denominator goes."""
    low_text, high_text = (rf"{re.escape(f'{end:g}')}(?:\.0+)?" for end in (low, high))
    whole = rf"(?<![\w.,\-+]){low_text}\s*(?:to|and|through|-|~)\s*\+?{high_text}(?!\w|[.,]\d)"
    return re.compile(rf"{whole}|(?<=\d)\s*(?:/|(?:out\s)?of)\s*{high_text}(?!\w|[.,]\d)")


def _last_number(text: str, low: float, high: float) -> _Found | Unparsed:
    """The only number, or the last one where a cue ("score", "is", ":") stands before it."""
    text = _scale(low, high).sub(" ", text)
    found = [_Found(_value(hit.group()), *hit.span()) for hit in re.finditer(_NUMBER, text)]
    if not found:
        return Unparsed("no number")
    last = found[-1]
    if len({number.value for number in found}) == 1:
        return last
    if _PAIR.fullmatch(text[found[-2].end : last.start]):
        return Unparsed("a range or a choice of numbers")
    return last if _CUE.search(text[: last.start]) else Unparsed("several numbers, and nothing says which")


def _number(grammar: Number, text: str) -> float | Unparsed:
    found = _last_number(text, grammar.low, grammar.high)
    if isinstance(found, Unparsed):
        return found
    if not grammar.low <= found.value <= grammar.high:
        return Unparsed(f"{found.value:g} is outside {grammar.low:g}..{grammar.high:g}")
    return found.value


def _ordinal(grammar: Ordinal, text: str, emotion: str | None) -> int | Unparsed:
    """By number ("2", "2: moderate ..."), or by the class's own words when there is no number."""
    named = [number for number, words in _class_words(grammar, emotion) if words.search(text)]
    if len(named) > 1:
        return Unparsed("more than one class")
    leading = re.match(rf"\s*({_NUMBER})\s*:", text)
    found = _last_number(text, grammar.low, grammar.high)
    if leading:
        found = _Found(_value(leading[1]), *leading.span(1))
    if isinstance(found, Unparsed):
        return named[0] if named and found.reason == "no number" else found
    if "%" in text[found.start : found.end] or found.value not in dict(grammar.classes):
        return Unparsed(f"{found.value:g} is not one of the classes {grammar.low}..{grammar.high}")
    if named and named[0] != found.value:
        return Unparsed("number and class text contradict each other")
    return int(found.value)


@cache
def _class_words(grammar: Ordinal, emotion: str | None) -> list[tuple[int, re.Pattern[str]]]:
    """Each class's text without its " can be inferred"; any word stands for an emotion that is not given."""
    patterns = []
    for number, words in grammar.classes:
        before, mark, after = words.removesuffix(" can be inferred").partition("{emotion}")
        middle = (re.escape(emotion.lower()) if emotion else r"\w+") if mark else ""
        words = re.escape(before).replace(r"\ ", r"\s+") + middle + re.escape(after).replace(r"\ ", r"\s+")
        patterns.append((number, re.compile(rf"(?<!\bnot )(?<!\bno )(?<!\w){words}(?!\w)")))
    return patterns


def _vad(grammar: Vad, text: str) -> dict[str, float] | Unparsed:
    """Every dimension by its name, in any order and case; twice with two values is no answer."""
    values: dict[str, float] = {}
    for name in grammar.dimensions:
        hits = re.findall(rf"(?<!\w){name}\s*(?:score|intensity)?\s?'?\s*{_DASH}\s*({_NUMBER})", text)
        found = {_value(hit) for hit in hits}
        if len(found) != 1:
            return Unparsed(f"{'no number' if not found else 'more than one number'} for {name}")
        values[name] = found.pop()
        if not grammar.low <= values[name] <= grammar.high:
            return Unparsed(f"{name} {values[name]:g} is outside {grammar.low:g}..{grammar.high:g}")
    return values
