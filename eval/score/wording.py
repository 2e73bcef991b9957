"""The vocabulary of answers (wording.yaml): split a text into words, and give each word a kind."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import yaml

from mmafflm.benchmark.grammar import Grammar, Labels

_LETTER = r"[^\W㐀-鿿]"  # a letter of a script with spaces between words, so not Chinese
_WORD = rf"{_LETTER}(?:{_LETTER}|['-](?={_LETTER}))*"  # "joyful", "it's", "non-negative"
# A number is not part of a word or a version ("1.2.3"). It may have a decimal comma ("0,734", "1,5"), but "1,000" and
# "01" are not numbers, because they are ambiguous.
_NUMBER = (
    r"(?<![\da-z.])(?<!\d,)[-+]?(?!0\d)(?:0,\d+|\d+,\d\d?(?!\d)|\d+\.\d+|\.?\d+)(?:e[-+]?\d{1,9})?(?: ?%| percent)?"
    rf"(?!{_LETTER}|[.,]\d)"
)
_PERCENT = re.compile(" ?%| percent")


class Word(NamedTuple):
    """A word, number or sign.

    Its kind is one from wording.yaml; "name" (of a label, class or dimension); "number"; or "other". When the answer
    is labels or a class, the value of a "number" is its label or class, any other whole number has the kind "outside",
    and a fraction or percentage the kind "amount".
    """

    kind: str
    value: str | float


def shape(words: Iterable[Word]) -> str:
    """The kinds of the words in one line, such as "lead_in is number "; the forms are regular expressions on it."""
    return "".join(f"{word.kind} " for word in words)


def cut(words: Iterable[Word], end: re.Pattern[str]) -> list[list[Word]]:
    """Split the words into lists, after each match of `end` in their shape."""
    rest, pieces = iter(words), end.sub(r"\g<0>\n", shape(words)).split("\n")
    return [list(islice(rest, piece.count(" "))) for piece in pieces if piece]


@dataclass(frozen=True, eq=False)  # compared by identity: there is one for each grammar
class Wording:
    """The vocabulary of one grammar."""

    pattern: re.Pattern[str]
    kinds: Mapping[str, str]
    names: Mapping[str, str | int]
    classes: Mapping[float, str | int]  # number -> label or class

    def words(self, text: str) -> list[Word]:
        """The words of a text from plain(). A line break counts as a stop. For labels and classes, "1,8" is a list."""
        text = text.replace("\n", " ; ").replace(",", ", " if self.classes else ",")
        return [_word(self, hit.lastgroup, hit.group()) for hit in self.pattern.finditer(" ".join(text.split()))]


@lru_cache(16384)  # answers use the same few words
def _word(own: Wording, group: str | None, written: str) -> Word:
    """The word for a match of own.pattern. group: the named group that matched, or None."""
    if group == "name":
        return Word("name", own.names[written.replace(" /", "/").replace("/ ", "/")])
    if group != "number":
        return Word(own.kinds.get(written, "other"), written)
    digits = _PERCENT.sub("", written)
    value = float(digits.replace(",", ".")) / (1 if digits == written else 100)
    if not own.classes:
        return Word("number", value)
    if digits != written or value % 1:
        return Word("amount", value)
    return Word("number", own.classes[value]) if value in own.classes else Word("outside", value)


@cache
def wording(grammar: Grammar, emotions: tuple[str, ...]) -> Wording:
    """The vocabulary of a grammar; emotions: those that the question asks about, which an answer may name."""
    listed = yaml.safe_load((Path(__file__).parent / "wording.yaml").read_text(encoding="utf-8"))
    own = listed["labels" if isinstance(grammar, Labels) else "numbers"]
    kinds = dict.fromkeys(emotions, "lead_in")
    for kind, words in (*listed["any"].items(), ("lead_in", own)):
        kinds |= dict.fromkeys((word.replace("_", " ") for word in words.split()), kind)
    names, phrases = grammar.spellings(emotions), [word for word in kinds if not re.fullmatch(_WORD, word)]
    pattern = f"(?P<name>{_either(names)})|(?P<number>{_NUMBER})|{_either(phrases)}|{_WORD}|[^\\s']"
    return Wording(re.compile(pattern), kinds, names, grammar.numbers)


def _either(words: Iterable[str]) -> str:
    """A regular expression for any word or phrase, longest first. Those that begin with a letter match whole words."""
    letters, others = list[str](), list[str]()
    for word in sorted(words, key=len, reverse=True):
        written = re.escape(word).replace(r"\ ", " ").replace("/", " ?/ ?")
        (letters if re.match(_LETTER, word) else others).append(written)
    # One boundary for the whole group: with one for each word, compiling takes a second.
    whole, other = ("|".join(found or ["(?!)"]) for found in (letters, others))
    return rf"(?<!{_LETTER})(?:{whole})(?!{_LETTER})(?!-{_LETTER})|{other}"
