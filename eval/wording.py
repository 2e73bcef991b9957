"""The vocabulary of answers (wording.yaml): a text becomes words of a few kinds, and these a letter each."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import yaml

from mmafflm.grammar import Grammar, Labels, Ordinal, Vad

_KINDS = {"lead_in": "f", "is": "b", "colon": "c", "choice": "o", "turn": "t", "conclusion": "S", "remark": "r",
          "unit": "u", "join": "j", "denial": "d", "affirmation": "y"}  # fmt: skip
_LETTER = r"[^\W㐀-鿿]"  # of a word that spaces part from the next; Chinese has no such spaces
_WORD = rf"{_LETTER}(?:{_LETTER}|['-](?={_LETTER}))*"
# A number is no part of a word or a version. A comma in it is a decimal comma, or parts thousands; labels are listed
# with commas.
_END = rf"(?:e[-+]?\d{{1,9}})?(?: ?%| percent)?(?!{_LETTER}|\.\d)"
_REAL = rf"(?<![\da-z.])(?<!\d,)[-+]?(?:[1-9]\d{{0,2}}(?:,\d{{3}})+|\d+(?:[.,]\d+)?|\.\d+){_END}(?!,\d)"
_COUNT = rf"(?<![\da-z.])[-+]?(?:(?:0|[1-9]\d*)(?:\.\d+)?|\.\d+){_END}"


class Words(NamedTuple):
    """A letter for the kind of each word, and the words' values.

    "N" is the name of a label, class or dimension, "n" a number, "a" an amount, ";" a line break, "q" a question mark,
    "x" any other word; the remaining letters are those of _KINDS.
    """

    shape: str
    values: list[str | float]

    def cut(self, start: int, end: int | None = None) -> "Words":
        """The words from `start` to `end`."""
        return Words(self.shape[start:end], self.values[start:end])


class Wording(NamedTuple):
    """The vocabulary of one grammar."""

    pattern: re.Pattern[str]
    kinds: Mapping[str, str]
    names: Mapping[str, str | int]
    classes: Mapping[float, str | int]  # number -> label or class; then a fraction or a percentage is an amount

    def words(self, text: str) -> Words:
        """The words of a plain()ed text."""
        kinds, values = list[str](), list[str | float]()
        text = " ".join(text.replace("\n", " ; ").split())
        for hit in self.pattern.finditer(text):
            written = hit.group()
            value: str | float
            if hit["name"]:
                kind, value = "N", self.names[written.replace(" /", "/").replace("/ ", "/")]
            elif hit["number"]:
                value = _value(written)
                amount = self.classes and (written.endswith(("%", "percent")) or not value.is_integer())
                kind = "a" if amount else "n"
            else:
                kind, value = written if written in "-.,;" else self.kinds.get(written, "x"), written
                if kind == "." and text[hit.end() : hit.end() + 1] not in ("", " "):
                    kind = "c"  # "1.joy": no sentence ends here
            kinds.append(kind)
            values.append(value)
        return Words("".join(kinds), values)


def _value(written: str) -> float:
    """The number that is written, infinite for digits without end; a percentage is a hundredth."""
    number = re.sub(r" ?%| percent", "", written)
    thousands = re.fullmatch(r"[-+]?[1-9]\d{0,2}(?:,\d{3})+", number)
    return float(number.replace(",", "" if thousands else ".")) / (1 if number == written else 100)


@cache
def _vocabulary() -> dict[str, dict[str, str]]:
    return dict(yaml.safe_load((Path(__file__).parent / "wording.yaml").read_text(encoding="utf-8")))


@cache
def wording(grammar: Grammar, emotions: tuple[str, ...]) -> Wording:
    """The vocabulary of a grammar; emotions: those that the question asks about, which may be named beside a number."""
    listed, labels = _vocabulary(), isinstance(grammar, Labels)
    own = listed["labels"] if labels else listed["numbers"]
    if isinstance(grammar, Ordinal | Vad):
        own = own | {kind: listed["labels"][kind] for kind in ("join", "denial", "affirmation")}
    kinds = dict.fromkeys(emotions, "f") | {"!": ";", "?": "q"}
    for kind, words in (*listed["any"].items(), *own.items()):
        kinds |= dict.fromkeys((word.replace("_", " ") for word in words.split()), _KINDS[kind])
    names, phrases = grammar.spellings(emotions), [word for word in kinds if not re.fullmatch(_WORD, word)]
    number = _COUNT if grammar.numbers else _REAL
    pattern = f"(?P<name>{_either(names)})|(?P<number>{number})|{_either(phrases)}|{_WORD}|[^\\s']"
    return Wording(re.compile(pattern), kinds, names, grammar.numbers)


def _either(words: Iterable[str]) -> str:
    """An expression for any of the words or phrases, the longest first; those in letters as whole words."""
    found = ["(?!)"]
    for word in sorted(words, key=len, reverse=True):
        written = re.escape(word).replace(r"\ ", " ").replace("/", " ?/ ?")
        whole = re.match(_LETTER, word) is not None
        found.append(rf"(?<!{_LETTER}){written}(?!{_LETTER})(?!-{_LETTER})" if whole else written)
    return "|".join(found)
