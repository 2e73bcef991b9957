"""Strict mode: a model's text becomes an Answer or Unparsed(reason). Nothing is guessed (docs/reference/scoring.md).

A sentence counts when every word of it is in the vocabulary (wording.yaml) and the kinds of its words have one of the
forms that docs/reference/scoring.md lists.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import orjson

from eval.run.no_answer import reason_of
from eval.score.normalize import Unclear, marked, plain, rewritten
from eval.score.parse_labels import labels
from eval.score.wording import Word, Wording, cut, shape, wording
from mmafflm.benchmark.benchmark import Task
from mmafflm.benchmark.grammar import Gold, Grammar, Labels, Number, Vad

Answer: TypeAlias = Gold

# The forms, as regular expressions over the kinds of the words (see `shape`).
_LEAD_IN = "(?:(?:lead_in|conclusion|is|colon|dash|comma|join|stop) )*"
_VALUE = "number (?:unit )?"
_NUMBER = re.compile(f"{_LEAD_IN}(?:{_VALUE})+(?:(?:comma|stop) )*")  # "The score is 70% (0.7)."
_DIMENSIONS = re.compile(f"(?:{_LEAD_IN}name {_LEAD_IN}{_VALUE})+(?:(?:comma|stop) )*")  # "valence: 0.2, arousal (0.3)"
_KEY = re.compile("(?:(?:lead_in|name|is|colon) )+")  # a JSON key that is read: "final answer"
_END = re.compile(
    # a stop ends a sentence, except in "2. sadness", "absent:\njoy" and "not present:\njoy"
    "(?<!denial colon )(?<!denial affirmation colon )(?:(?<!number )(?<!outside )stop |stop (?!name ))"
    "|comma (?=conclusion |(?:(?:lead_in|other) )+(?:is|colon) )"  # ", so joy"; ", the score is 0.7"; ", confidence: 1"
    "|(?:(?<=number name )|(?<=number colon name ))(?:colon|dash) (?=(?:lead_in|other) )"  # "1. joy: they win"
    "|(?<= )(?=remark )"  # "joy because they win"
)


_FIRST, _TAKEN_BACK = re.compile("(?:number|name) "), re.compile("stop (?:choice|turn) ")  # "0.7. Or maybe 0.5."
_BRACKET = re.compile(r"\(([^()]*)\)")


@dataclass(frozen=True, slots=True)
class Unparsed:
    """The text has no admissible answer. `reason` says why."""

    reason: str


def parse(task: Task, text: str, emotion: str | None = None) -> Answer | Unparsed:
    """Read the answer to `task` in `text`: canonical labels in class order, a number, or a number per dimension.

    Returns Unparsed when there is no clear answer, and never raises. emotion: the record's emotion, the only one that
    the answer may mention; None allows all emotions of the task. The time is linear in the length of the text.
    """
    if reason := reason_of(text):
        return Unparsed(reason)
    own = wording(task.grammar, (emotion,) if emotion else task.emotions)
    try:
        answers = [_part(task.grammar, own, part) for part in marked(text)]
    except Unclear as why:
        return Unparsed(str(why))
    return answers[0] if all(one == answers[0] for one in answers) else Unparsed("answers that contradict each other")


def _part(grammar: Grammar, own: Wording, text: str) -> Answer:
    """The answer in one part of the text, from all its sentences together. Raises Unclear when there is none."""
    text = plain(_from_json(own, text))
    words = own.words(_prepared(grammar, own, text))
    kinds = shape(words)
    if _TAKEN_BACK.search(_FIRST.split(kinds, maxsplit=1)[-1]):
        raise Unclear("an answer that is taken back")
    sentences = [one for one in cut(words, _END) if one[0].kind != "remark"]
    answer = _answer(grammar, sentences)
    if answer is None:
        raise Unclear("a range or a choice of answers" if "choice" in kinds else "no answer in a form that counts")
    signed = not isinstance(grammar, Labels) and grammar.low < 0
    signs = {"negative", "positive"} & set(re.findall("[a-z]+", text)) if signed else set[str]()
    if isinstance(answer, float | int) and answer and signs == {"positive" if answer < 0 else "negative"}:
        raise Unclear(f"{answer:g} and {signs.pop()} contradict each other")  # "0.4 (negative)"
    return answer


def _answer(grammar: Grammar, sentences: Sequence[Sequence[Word]]) -> Answer | None:
    """The answer of all sentences together; None when all are prose."""
    if isinstance(grammar, Number | Vad):
        numbers = _numbers(grammar, sentences)
        return numbers.get("") if isinstance(grammar, Number) else numbers or None
    if isinstance(grammar, Labels):
        return grammar.sort([str(label) for label in labels(sentences, grammar.most)]) or None
    return next((int(one) for one in labels(sentences, 1)), None)


def _from_json(own: Wording, text: str) -> str:
    """Turn a JSON object into a line for each key that introduces an answer. Other texts are returned unchanged."""
    try:
        row = orjson.loads(text[text.index("{") : text.rindex("}") + 1])
        # "finalAnswer" is two words
        lines = [(re.sub("(?<=[a-z])(?=[A-Z])", " ", key), " ".join(str(row[key]).split())) for key in row]
    except (ValueError, RecursionError):
        return text
    return "\n".join(f"{key}: {value}" for key, value in lines if _KEY.fullmatch(shape(own.words(plain(key)))))


def _prepared(grammar: Grammar, own: Wording, text: str) -> str:
    """The text without list markers, mentions of the scale, and remarks in brackets."""

    def bracket(hit: re.Match[str]) -> str:  # read: "joy (1)", "joy (no)", "0.7 (or 0.8)"; dropped: "0.7 (high)"
        kinds = {word.kind for word in own.words(hit[1])}
        remark = "other" in kinds or not kinds & {"number", "amount", "denial", "affirmation"}
        return " " if remark and not kinds & {"name", "choice"} else f" {hit[1]} "

    low, high = (min(own.classes), None) if isinstance(grammar, Labels) else (grammar.low, grammar.high)
    return _BRACKET.sub(bracket, rewritten(text, low, high))


def _numbers(grammar: Number | Vad, sentences: Sequence[Sequence[Word]]) -> dict[str, float]:
    """The number of each dimension; a plain number has the key "". {} when no sentence has the form of an answer.

    Raises Unclear when a dimension is missing, a number is out of range, or one dimension has two different numbers.
    """
    found, form = dict[str, float](), _DIMENSIONS if isinstance(grammar, Vad) else _NUMBER
    for words in (one for one in sentences if form.fullmatch(shape(one))):
        numbers = [float(word.value) for word in words if word.kind == "number"]
        names = [str(word.value) for word in words if word.kind == "name"] or [""] * len(numbers)
        for name, value in zip(names, numbers, strict=True):
            if not grammar.low <= value <= grammar.high:
                raise Unclear(f"{value:g} is outside {grammar.low:g}..{grammar.high:g}")
            if found.setdefault(name, value) != value:
                raise Unclear("answers that contradict each other")
    for name in grammar.dimensions if found and isinstance(grammar, Vad) else ():
        if name not in found:
            raise Unclear(f"no number for {name}")
    return found
