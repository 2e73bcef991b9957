"""Paper mode: read every answer exactly as the published scorer does ("Paper mode" in docs/reference/scoring.md).

The same function reads the gold text and the model's answer. It keeps the scorer's mistakes, so that scores are
comparable with the paper's. parse.py (strict mode) reads answers more carefully.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import NamedTuple, TypeAlias

from eval.run.no_answer import reason_of
from mmafflm.benchmark.benchmark import Task
from mmafflm.benchmark.grammar import Labels, Number, Ordinal

UNKNOWN_POLARITY = 9

PaperValue: TypeAlias = float | int | tuple[float, ...] | tuple[int, ...]
"""A number; one number per dimension; a 0/1 vector over the classes; or a polarity: -1, 0, 1, or 9 if unknown."""


class PaperAnswer(NamedTuple):
    """The value that the published scorer reads. `found` is False when it found none and used its default."""

    value: PaperValue
    found: bool


def parse(task: Task, text: str) -> PaperAnswer:
    """What the published scorer reads in `text`; a row without an answer (eval/run/no_answer.py) counts as "".

    Never raises. Rules: "Paper mode" in docs/reference/scoring.md.
    """
    grammar, text = task.grammar, text if reason_of(text) is None else ""
    if isinstance(grammar, Labels):
        if task.paper_accuracy == "polarity":
            return _polarity(text, neutral="neutral" in grammar.names)
        return _label_vector(text, tuple(grammar.names))
    if isinstance(grammar, Number):
        return _unit(text) if grammar.low == 0 else _signed(text)
    if isinstance(grammar, Ordinal):
        return _intensity_class(text) if grammar.low == 0 else _valence_class(text)
    hits = [_dimension(name).search(text) for name in grammar.dimensions]
    return PaperAnswer(tuple(float(hit[1]) if hit else 0.0 for hit in hits), all(hits))


def _clamp(value: float, low: float, high: float) -> float:
    return max(low, min(high, value))


def _unit(text: str) -> PaperAnswer:
    """The first number of the form 0.25 (its minus is ignored), else the first number, else 0.5; clamped to 0..1."""
    hit = re.search(r"\b0\.\d+\b", text) or re.search(r"-?\d+(?:\.\d+)?", text)
    return PaperAnswer(_clamp(float(hit[0]), 0.0, 1.0) if hit else 0.5, bool(hit))


def _signed(text: str) -> PaperAnswer:
    hit = re.search(r"-?\d+(?:\.\d+)?", text)
    return PaperAnswer(_clamp(float(hit[0]), -1.0, 1.0) if hit else 0.0, bool(hit))


def _intensity_class(text: str) -> PaperAnswer:
    # float, because int() refuses more than 4,300 digits; the clamped value is exact
    hit = re.search(r"[-+]?\d+", text)
    return PaperAnswer(int(_clamp(float(hit[0]), 0, 3)) if hit else 0, bool(hit))


def _valence_class(text: str) -> PaperAnswer:
    """The first signed integer in -3..3, anywhere in the text: "7, or 2" is 2."""
    for hit in re.finditer(r"[-+]?\d+", text):
        if -3 <= float(hit[0]) <= 3:
            return PaperAnswer(int(float(hit[0])), True)  # int() alone refuses "000 ... 2" with over 4,300 digits
    return PaperAnswer(0, False)


@cache
def _dimension(name: str) -> re.Pattern[str]:
    """The pattern of a dimension and its number. "valence: -1" does not match: an integer may not have a minus."""
    # The published pattern has \s*[:-]?\s*. Here no two parts match the same space, so a thousand spaces stay fast.
    return re.compile(rf"{name}\s*(?:[:-]\s*)?(-?\d*\.\d+|\d+)")


def _label_vector(text: str, names: tuple[str, ...]) -> PaperAnswer:
    text = re.sub("and|or|with", ",", text.lower())  # inside words too: "disorder" becomes "dis,der"
    words = [word.strip(",.") for word in re.sub(r"[^\w\s,]", "", text).split()]
    chosen = {names.index(word) for word in words if word in names}
    if not any(word in names for word in words):
        numbers = (float(number) for number in re.findall(r"\b\d+\b", text))
        chosen = {int(number) for number in numbers if number < len(names)}
    return PaperAnswer(tuple(int(index in chosen) for index in range(len(names))), bool(chosen))


def _polarity(text: str, neutral: bool) -> PaperAnswer:
    lower = text.lower()
    tests: list[tuple[int, Callable[[], bool]]] = [
        (-1, lambda: "-1" in text or "negative" in lower),
        (0, lambda: neutral and ("0" in text or "neutral" in lower)),
        (1, lambda: "1" in text or "positive" in lower),
    ]
    for value, holds in tests:
        if holds():
            return PaperAnswer(value, True)
    return PaperAnswer(UNKNOWN_POLARITY, False)
