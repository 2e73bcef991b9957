"""Read gold from a released gold answer: the inverse of a grammar's `render`.

This is stricter than the parsers of eval/: an answer whose gold could only be guessed is rejected. Some forms that
`render` does not write are accepted: other decimals, the corpora's own label names, labels in any order, a class's
number without its text, "emotional state" for "mental state".
"""

import re

from mmafflm.benchmark.grammar import Gold, Grammar, Labels, Number, Ordinal, Vad

_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:e-?\d+)?")
_LABEL = re.compile(r"(-?\d+)\s*\.\s*(\S.*)")


def read_gold(grammar: Grammar, text: str, emotion: str | None = None) -> Gold:
    """Parse the gold from an answer. Raises ValueError when the answer does not fit this grammar."""
    text = text.strip()
    if isinstance(grammar, Labels):
        return _labels(grammar, text)
    if isinstance(grammar, Vad):
        return _vad(grammar, text)
    return _ordinal(grammar, text, emotion) if isinstance(grammar, Ordinal) else _number(grammar, text)


def _number(grammar: Number, text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text!r} is not a number")
    return float(grammar.write(float(text)))  # `write` raises ValueError for a number out of range


def _vad(grammar: Vad, text: str) -> dict[str, float]:
    number = Number(grammar.low, grammar.high, grammar.decimals)
    parts = [part.partition(":") for part in text.split(",")]
    found = {name.strip().lower(): _number(number, value.strip()) for name, _, value in parts}
    if set(found) != set(grammar.dimensions) or len(parts) != len(found):
        raise ValueError(f"{text!r} does not have exactly {', '.join(grammar.dimensions)}")
    return {name: found[name] for name in grammar.dimensions}


def _ordinal(grammar: Ordinal, text: str, emotion: str | None) -> int:
    number, colon, words = text.partition(":")
    if not re.fullmatch(r"[-+]?\d+", number.strip()) or int(number) not in dict(grammar.classes):
        raise ValueError(f"{text!r} is not one of the classes {grammar.low}..{grammar.high}")
    wanted = dict(grammar.classes)[int(number)].format(emotion=emotion)
    if colon and _plain(words) != _plain(wanted):
        raise ValueError(f"number and text of {text!r} contradict each other")
    return int(number)


def emotion_in(text: str) -> str | None:
    """The emotion that an EI-oc answer names, such as anger in "2: moderate amount of anger can be inferred"."""
    match = re.search(r"(?:no|amount of) (\w+) can be inferred", text)
    return match[1] if match else None


def _plain(words: str) -> str:
    return " ".join(words.lower().replace("emotional state", "mental state").split()).rstrip(".")


def _labels(grammar: Labels, text: str) -> list[str]:
    by_number = {label.number: label.name for label in grammar.labels}
    chosen = []
    for item in text.split(","):
        match = _LABEL.fullmatch(item.strip().rstrip("."))
        name = grammar.canonical(match[2]) if match else None
        if not match or name is None or by_number.get(int(match[1])) != name:
            raise ValueError(f"{item.strip()!r} is not a label with its number")
        chosen.append(name)
    if not 1 <= len(chosen) <= grammar.most:
        raise ValueError(f"{len(chosen)} labels, where 1 to {grammar.most} are allowed")
    return grammar.sort(chosen)
