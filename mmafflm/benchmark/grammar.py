"""The form of answers. A task's grammar renders gold as the answer's text and limits what a parser may accept.

Each grammar has `spellings()`, {name in an answer: its meaning}, and `numbers`, {number in an answer: its meaning}.
`numbers` is empty where a number means itself. `render` raises ValueError when gold does not fit the grammar.

`eval.score.parse` parses by these grammars; a property test checks `parse(render(gold)) == gold` for every task.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

Gold: TypeAlias = list[str] | float | int | dict[str, float]
"""A record's gold: canonical label names in ascending order of their numbers, a number, or one number per dimension."""


@dataclass(frozen=True)
class Label:
    """One class: its number in the prompt, its canonical name, and the names that the corpora use for it."""

    number: int
    name: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Number:
    """A real number in [low, high], written with `decimals` places, or as the shortest exact decimal if None."""

    low: float
    high: float
    decimals: int | None = None

    @property
    def numbers(self) -> dict[float, str | int]:
        """Empty: a number means itself."""
        return {}

    def spellings(self, emotions: tuple[str, ...] = ()) -> dict[str, str | int]:
        """Empty: a number has no name."""
        return {}

    def write(self, value: float) -> str:
        """The text of `value`; never "-0.0". Raises ValueError when `value` is out of range."""
        if not self.low <= value <= self.high:
            raise ValueError(f"{value} is outside [{self.low}, {self.high}]")
        text = repr(float(value)) if self.decimals is None else f"{value:.{self.decimals}f}"
        return text.removeprefix("-") if float(text) == 0 else text

    def render(self, gold: Gold, emotion: str | None = None) -> str:
        """The answer text of a number."""
        if isinstance(gold, list | dict):
            raise ValueError(f"{gold!r} is not a number")
        return self.write(gold)


@dataclass(frozen=True)
class Vad:
    """Several named numbers, `valence: 0.200, arousal: ...` (EMOTIC_SI). Always with a decimal point."""

    dimensions: tuple[str, ...]
    low: float
    high: float
    decimals: int

    @property
    def numbers(self) -> dict[float, str | int]:
        """Empty: a number is the value of a dimension."""
        return {}

    def spellings(self, emotions: tuple[str, ...] = ()) -> dict[str, str | int]:
        """The names of the dimensions."""
        return {name: name for name in self.dimensions}

    def render(self, gold: Gold, emotion: str | None = None) -> str:
        """The answer text of {dimension: value}; every dimension is required."""
        if not isinstance(gold, dict) or set(gold) != set(self.dimensions):
            raise ValueError(f"{gold!r} does not have exactly the dimensions {', '.join(self.dimensions)}")
        number = Number(self.low, self.high, self.decimals)
        return ", ".join(f"{name}: {number.write(gold[name])}" for name in self.dimensions)


@dataclass(frozen=True)
class Ordinal:
    """Ordered classes. An answer is a class's number, a colon and its text, with the emotion's name for `{emotion}`."""

    classes: tuple[tuple[int, str], ...]

    @property
    def low(self) -> int:
        """The smallest class."""
        return min(number for number, _ in self.classes)

    @property
    def high(self) -> int:
        """The largest class."""
        return max(number for number, _ in self.classes)

    @property
    def numbers(self) -> dict[float, str | int]:
        """{number in an answer: its class}."""
        return {float(number): number for number, _ in self.classes}

    def spellings(self, emotions: tuple[str, ...] = ()) -> dict[str, str | int]:
        """{text of a class: its number}; each text in full and in two shorter forms, for each of `emotions`."""
        found = dict[str, str | int]()
        for number, text in self.classes:
            for full in (text.format(emotion=emotion) for emotion in emotions or ("",)):
                short = full.removesuffix(" can be inferred")
                found |= dict.fromkeys((full, short, re.split(" of | mental state| or ", short)[0]), number)
        return found

    def render(self, gold: Gold, emotion: str | None = None) -> str:
        """The answer text, such as "2: moderate amount of anger can be inferred"."""
        for number, text in self.classes:
            if gold == number:
                return f"{number}: {text.format(emotion=emotion)}"
        raise ValueError(f"{gold!r} is not one of the classes {self.low}..{self.high}")


@dataclass(frozen=True)
class Labels:
    """A set of at most `most` labels, written "1. joy, 8. love" in ascending order of the numbers."""

    labels: tuple[Label, ...]
    most: int = 1

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Canonical names in the order of `labels`."""
        return tuple(label.name for label in self.labels)

    @property
    def numbers(self) -> dict[float, str | int]:
        """A label's number -> its canonical name."""
        return {float(label.number): label.name for label in self.labels}

    def spellings(self, emotions: tuple[str, ...] = ()) -> dict[str, str | int]:
        """{name: canonical name}, for every name of every label, including the names that corpora use."""
        return {name: label.name for label in self.labels for name in (label.name, *label.aliases)}

    def canonical(self, name: str) -> str | None:
        """The canonical name for a corpus's own name (case ignored), or None."""
        wanted = name.strip().lower()
        for label in self.labels:
            if wanted == label.name or wanted in label.aliases:
                return label.name
        return None

    def sort(self, names: list[str]) -> list[str]:
        """`names` in the order of their numbers, without duplicates. Raises ValueError for a name that is no label."""
        if unknown := sorted(set(names) - set(self.names)):
            raise ValueError(f"{', '.join(unknown)} is not one of {', '.join(self.names)}")
        return [label.name for label in self.labels if label.name in names]

    def render(self, gold: Gold, emotion: str | None = None) -> str:
        """The answer text of a list of canonical names."""
        if not isinstance(gold, list) or not 1 <= len(gold) <= self.most:
            raise ValueError(f"{gold!r} is not a list of 1 to {self.most} labels")
        chosen = self.sort(gold)
        return ", ".join(f"{label.number}. {label.name}" for label in self.labels if label.name in chosen)


Grammar: TypeAlias = Number | Vad | Ordinal | Labels
