"""Strict mode: a model's text becomes an Answer or Unparsed(reason). Nothing is guessed (docs/scoring.md).

A sentence counts when every word of it is understood; docs/scoring.md lists the few forms that this allows. The kinds
of its words (eval/wording.py), a letter each, make its shape, and a form is an expression for shapes.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, TypeAlias

import orjson

from eval.label_answers import labels_in
from eval.no_answer import reason_of
from eval.normal import marked, plain
from eval.wording import Wording, Words, wording
from mmafflm.benchmark import Task
from mmafflm.grammar import Gold, Grammar, Labels, Number, Vad

Answer: TypeAlias = Gold


@dataclass(frozen=True, slots=True)
class Unparsed:
    """The text holds no admissible answer, and why."""

    reason: str


Read: TypeAlias = Answer | Unparsed
"""What a sentence says; of valence, arousal and dominance perhaps only some."""

_MINUS = re.compile(r"(?:\b(?:negative|minus|menos) |负 ?)-?(?=\.?\d)")
_PLUS = re.compile(r"(?:\b(?:positive|plus) |正 ?)(?=\.?\d)")
_DASH = re.compile(r"((?:^|[:=\n]|\bis) ?)- (?=\.?\d)")  # a minus; in "score - 2" it is a colon
_BULLET = re.compile(r"^ ?- (?=\d*\D)", re.MULTILINE)
_NUMBERED = re.compile(r"(^|[.;!] )(\d+)\. ", re.MULTILINE)  # "1. He smiles": no sentence ends before "He"
_STOP = re.compile(r"(?:;|(?<!n)\.|\.(?!N))(?![otj])")  # not before a word that takes back what was written
_REMARK = re.compile(r"(?:r|(?<=[,;.])x+[cb]|(?<=nN)[c-](?=[fx])|(?<=n[.c-]N)[c-](?=[fx])).*")
_TAKEN_BACK = re.compile(r"[;.][ot]")
_CONCLUSION = re.compile(r"(?:^|(?<=[,.;t]))(?:S,?|(?=f+[bc]))")  # where what follows it begins
_NUMBER = re.compile(r"[fcb,.;]*(?:(?<=f)-)?(n(?:u?n)*)u?[,.;c]*")
_DIMENSIONS = re.compile(r"(?:[fcbj,.;]*N[fcb-]*n)+[,.;c]*")
_JSON = {"True": "yes", "False": "no", "None": "none"}


def parse(task: Task, text: str, emotion: str | None = None) -> Answer | Unparsed:
    """What `text` answers to `task`: canonical labels in class order, a number, or a number per dimension.

    `emotion` is the record's: the answer may name it, and no other. Never raises; its time is linear in the text.
    """
    parts = reason_of(text) or marked(text)
    if isinstance(parts, str):
        return Unparsed(parts)
    grammar = task.grammar
    own = wording(grammar, (emotion,) if emotion else task.emotions)
    answer = _agreed([_part(grammar, own, part) for part in parts])
    if isinstance(answer, dict) and isinstance(grammar, Vad):
        missing = [name for name in grammar.dimensions if name not in answer]
        return Unparsed(f"no number for {missing[0]}") if missing else answer
    return answer


def _part(grammar: Grammar, own: Wording, text: str) -> Read:
    """One marked part: read as a whole, else sentence by sentence."""
    text = plain(_object(own, text))
    words = own.words(_prepared(grammar, own, text))
    answer = _understood(grammar, own, words)
    if answer is None:
        ends = [0, *(hit.end() for hit in _STOP.finditer(words.shape)), len(words.shape)]
        sentences = [words.cut(*span) for span in pairwise(ends)]
        answer = _together([(one, _sentence(grammar, own, one)) for one in sentences])
    if isinstance(answer, list) and isinstance(grammar, Labels):
        most = f"{len(answer)} labels, where an answer has at most {grammar.most}"
        return grammar.sort(answer) if len(answer) <= grammar.most else Unparsed(most)
    if isinstance(answer, float | int) and not isinstance(grammar, Labels) and grammar.low < 0:
        signs = {"negative", "positive"} & set(re.findall(r"[a-z]+", text))
        if answer and signs == {"positive" if answer < 0 else "negative"}:
            return Unparsed(f"{answer:g} and {signs.pop()} contradict each other")
    return answer


def _why(shape: str) -> str:
    if re.search(r"[nN][^nN]*o|n-n", shape):
        return "a range or a choice of answers"
    return "no answer in a form that counts" if re.search("[nNa]", shape) else "no label and no number"


def _object(own: Wording, text: str) -> str:
    """A text without JSON as it is; of the JSON object in it a line for each key that is the answer's."""
    if text.count("{") + text.count("[") > 64:  # deeper than any answer, and than a recursion may go
        return text
    try:
        row = orjson.loads(text[text.index("{") : text.rindex("}") + 1])
    except ValueError:
        return text
    return _written(own, row)


def _written(own: Wording, value: Any) -> str:
    if isinstance(value, dict):
        spaced = {key: re.sub(r"(?<=[a-z])(?=[A-Z])", " ", key) for key in value}  # finalAnswer
        ours = [key for key, name in spaced.items() if re.fullmatch("[fNcb]+", own.words(plain(name)).shape)]
        return "\n".join(f"{spaced[key]}: {_written(own, value[key])}" for key in ours)
    if isinstance(value, list):
        return ", ".join(_written(own, one) for one in value)
    return _JSON.get(str(value)) or " ".join(str(value).split())


def _prepared(grammar: Grammar, own: Wording, text: str) -> str:
    """`text` without bullets, the ends of the scale, and brackets, unless these hold a name or nothing but a number."""
    text = re.sub(r"[^\S\n]+", " ", text).strip()
    if text.startswith("(") and text.endswith(")") and text.count("(") == 1:
        text = text[1:-1]

    def kept(hit: re.Match[str]) -> str:
        shape = own.words(hit[1]).shape
        return f" {hit[1]} " if shape in ("n", "a") else f", {hit[1]}, " if "N" in shape else " "

    text = _NUMBERED.sub(r"\1\2: ", re.sub(r" +", " ", re.sub(r"\(([^()]*)\)", kept, text)))
    if not isinstance(grammar, Labels):
        text = _MINUS.sub("-", _PLUS.sub("+", _scale(grammar.low, grammar.high).sub(" ", text)))
    if not isinstance(grammar, Labels) or any(label.number < 0 for label in grammar.labels):
        text = _DASH.sub(r"\1-", text)
    return _BULLET.sub("", text)


@cache
def _scale(low: float, high: float) -> re.Pattern[str]:
    """How a sentence names the whole scale, "0 to 1"; and what is behind a value of it, "/1" or "out of 1"."""
    low_text, high_text = (rf"{re.escape(f'{end:g}')}(?:\.0+)?(?!\w|[.,]\d)" for end in (low, high))
    lead = r"(?:\bon )?(?:\ba |\bthe )?(?:\bscale )?(?:\bof |\bfrom |\bbetween )?"
    whole = rf"{lead}(?<![\w.,\-+]){low_text} ?(?:to|and|through|-|~) ?\+?{high_text}"
    return re.compile(rf"{whole}|(?<=\d) ?(?:/|(?:out )?of) ?{high_text}")


def _together(read: Sequence[tuple[Words, Read | None]]) -> Read:
    """What the sentences say that are answers. Lists of labels are put together, from the first that is led in to."""
    found = [one for _, one in read if one is not None]
    if not found:
        return Unparsed(_why("".join(words.shape for words, _ in read)))
    if not all(isinstance(one, list) for one in found):
        return _agreed(found)
    led = [place for place, (words, one) in enumerate(read) if one is not None and _CONCLUSION.search(words.shape)]
    answer = _agreed([read[place][1] or [] for place in led] or [[]])
    labels, named = set[str | float](), set[str | float]()
    for words, one in read[led[0] if led else 0 :]:
        if isinstance(one, list):
            labels |= set(one)
        elif "N" in words.shape or re.search("n.*q", words.shape):
            named |= {value for kind, value in zip(*words, strict=True) if kind in "Nn"}
    if named - labels:
        return Unparsed("a label in a sentence that is not clear")
    return answer if isinstance(answer, Unparsed) else [str(name) for name in labels]


def _agreed(found: Sequence[Read]) -> Read:
    """What all of them say; dimensions are put together."""
    answer = found[0]
    for one in found[1:]:
        if isinstance(answer, dict) and isinstance(one, dict) and one | answer == answer | one:
            answer = answer | one
        elif one != answer:
            return Unparsed("several answers that contradict each other")
    return answer


def _sentence(grammar: Grammar, own: Wording, words: Words) -> Read | None:
    """A sentence without the remark at its end, or what follows its conclusion: ", so ...", ", the emotion is ..."."""
    remark = _REMARK.search(words.shape, 1)
    if remark and not _TAKEN_BACK.search(remark[0]):
        words = words.cut(0, remark.start())
    answer = _understood(grammar, own, words)
    ends = [hit.end() for hit in _CONCLUSION.finditer(words.shape)] if answer is None else []
    return _understood(grammar, own, words.cut(ends[-1])) if ends else answer


def _understood(grammar: Grammar, own: Wording, words: Words) -> Read | None:
    """What the words say in full; None when they are prose."""
    if isinstance(grammar, Number):
        form = _NUMBER.fullmatch(words.shape)
        numbers = {value for value in words.values[slice(*form.span(1))] if isinstance(value, float)} if form else ()
        return _admissible(grammar, "", *numbers) if len(numbers) == 1 else None
    if isinstance(grammar, Vad):
        return _dimensions(grammar, words)
    found = labels_in(words, own.classes)
    if found is None or isinstance(found, str):
        return Unparsed(found) if found else None
    if isinstance(grammar, Labels):
        return [str(name) for name in found]
    return int(found[0]) if len(found) == 1 else Unparsed("more than one class")


def _dimensions(grammar: Vad, words: Words) -> Read | None:
    """Each dimension's name and behind it its number, in any order."""
    if not _DIMENSIONS.fullmatch(words.shape):
        return None
    names, numbers = ([value for kind, value in zip(*words, strict=True) if kind == wanted] for wanted in "Nn")
    read = dict[str, float]()
    for name, number in zip(names, numbers, strict=True):
        value = _admissible(grammar, f"{name} ", float(number))
        if isinstance(value, Unparsed) or read.setdefault(str(name), value) != value:
            return value if isinstance(value, Unparsed) else Unparsed(f"more than one number for {name}")
    return dict(read)


def _admissible(grammar: Number | Vad, name: str, value: float) -> float | Unparsed:
    if grammar.low <= value <= grammar.high:
        return value
    return Unparsed(f"{name}{value:g} is outside {grammar.low:g}..{grammar.high:g}")
