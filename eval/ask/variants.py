"""Write a question in another form, to measure how much of a score comes from the prompt (`predict --ablation prompt`).

order     the labels are listed in another order; "1. joy" may become "4. joy", but numbers with a meaning are kept
after     the instruction comes after the text
wording   another wording of the instruction (rewordings.yaml)

If `order` has renumbered the labels, Variant.restore() puts the benchmark's numbers into an answer. Then the answer is
parsed and scored like any other. renumber() is its inverse, so the model's text is not lost.
"""

import hashlib
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from unicodedata import decimal

import yaml

from mmafflm.benchmark.benchmark import Task, benchmark
from mmafflm.benchmark.grammar import Label, Labels, Ordinal
from mmafflm.errors import Fault
from mmafflm.records import Record

PROMPTS = {
    "order": "the labels in another order and numbering",
    "after": "the instruction after the text",
    "wording": "another wording of the instruction",
}
SEED = 2505
_MARKS = re.compile(r"^(?:<image>|<video>)*")
_TEXT = re.compile(r"(?:\w+: ?)?\{(?:text|transcript)\}\.?")  # with its heading: "Text: {text}."
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True)
class Variant:
    """A task in another form: `task` has the prompt and grammar of this form.

    original: the task of the benchmark. numbers: {a label's number in this form: its number in the benchmark}, a
    permutation of some of the numbers; empty when no label has another number.
    """

    original: Task
    task: Task
    numbers: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))

    def ask(self, record: Record) -> str:
        """The record's question in this form. Raises Fault when the record's prompt is not the benchmark's."""
        emotion = record.emotion or ""
        text = self.original.text_in(record.prompt, emotion)
        if text is None and record.prompt != self.original.ask("", emotion):
            raise Fault(f"{record.id}: its prompt is not that of {self.original.name}, so its form cannot be changed.")
        return self.task.ask(text or "", emotion)

    def restore(self, answer: str) -> str:
        """The answer with the benchmark's numbers. No other character changes, so renumber() can undo it."""
        return _renumbered(answer, self.numbers)

    def renumber(self, answer: str) -> str:
        """The inverse of restore()."""
        return _renumbered(answer, {there: here for here, there in self.numbers.items()})


def variant(task: Task, name: str) -> Variant | None:
    """The task in the form `name`, one of PROMPTS; None when the task cannot be written in this form.

    For example, `order` needs a list of labels in the prompt and `after` needs a text.
    """
    if name == "order":
        return _order(task)
    prompt = _after(task.prompt) if name == "after" else rewordings().get(task.prompt_id)
    return None if prompt is None else Variant(task, replace(task, prompt=prompt))


def form(task: Task, ablation: str) -> Variant:
    """The task in the form that a run with this ablation uses; the benchmark's unless variant() has another form."""
    return (variant(task, ablation) if ablation in PROMPTS else None) or Variant(task, task)


@cache
def rewordings() -> dict[str, str]:
    """{prompt id: another wording of the prompt}."""
    text = files("eval.ask").joinpath("rewordings.yaml").read_text(encoding="utf-8")
    found: dict[str, str] = yaml.safe_load(text)
    return found


def prompts_hash(ablation: str) -> dict[str, str]:
    """The entry of run.json that identifies the prompts of an ablation; {} unless it is one of PROMPTS.

    Because of this entry, a run cannot be resumed with other prompts.
    """
    if ablation not in PROMPTS:
        return {}
    tasks = (task for subset in benchmark().values() for task in subset.tasks)
    text = "\0".join(form(task, ablation).task.prompt for task in tasks)
    return {"prompts": hashlib.sha256(text.encode()).hexdigest()}


def _after(prompt: str) -> str | None:
    """The prompt with the text first and the instruction after it; None when the text is first already or missing."""
    media = _MARKS.match(prompt)
    assert media is not None  # the pattern matches the empty string too
    hit, body = _TEXT.search(prompt), prompt[media.end() :]
    if hit is None or not prompt[media.end() : hit.start()].strip():
        return None
    before, _, after = body.partition(hit[0])
    return f"{media[0]}{hit[0]}\n{before.strip()}{' ' if after.strip() else ''}{after.strip()}"


@cache
def _order(task: Task) -> Variant | None:
    """The labels in another order; None when the prompt lists fewer than two of them.

    Numbers that have a meaning (classes of a scale, -1 and 1) stay with their label.
    """
    found = _listed(task)
    if len(found) < 2:
        return None
    spans = sorted(found, key=lambda number: found[number].start())
    order = _shuffled(spans, task.prompt_id)
    fixed = isinstance(task.grammar, Ordinal) or min(found) < 0
    parts, end = [], 0
    for here, there in zip(spans, order, strict=True):
        hit = found[here]
        start = hit.start() if fixed else hit.start("body")
        parts += [task.prompt[end:start], found[there][0] if fixed else found[there]["body"]]
        end = hit.end()
    asked = replace(task, prompt="".join([*parts, task.prompt[end:]]))
    if fixed:
        return Variant(task, asked)
    numbers = dict(zip(spans, order, strict=True))
    assert isinstance(task.grammar, Labels)
    back = {number: here for here, number in numbers.items()}
    labels = tuple(Label(back.get(one.number, one.number), one.name, one.aliases) for one in task.grammar.labels)
    return Variant(task, replace(asked, grammar=replace(task.grammar, labels=labels)), MappingProxyType(numbers))


def _listed(task: Task) -> dict[int, re.Match[str]]:
    """{number: where the prompt lists this class}, without quoted labels such as '0. neutral'.

    The label 0 of a list without negative numbers is left out, because it keeps its number.
    """
    match task.grammar:
        case Labels() as labels:
            items = {one.number: rf"\. (?P<body>{re.escape(one.name)}(?:: [^\n]+)?)" for one in labels.labels}
            if min(items) >= 0:
                items.pop(0, None)  # 0 means "no emotion" in every prompt of the benchmark
        case Ordinal() as ordinal:
            items = {number: f": {re.escape(text.format(emotion='E'))}" for number, text in ordinal.classes}
        case _:
            return {}
    hits = {number: re.search(rf"(?<![\w'.-]){number}{item}", task.prompt, re.I) for number, item in items.items()}
    return {number: hit for number, hit in hits.items() if hit}


def _shuffled(numbers: list[int], name: str) -> list[int]:
    """The numbers in a seeded order in which every number has another position."""
    draw, order = random.Random(f"{SEED} {name}"), list(numbers)
    while any(one == other for one, other in zip(numbers, order, strict=True)):
        draw.shuffle(order)
    return order


def _renumbered(text: str, numbers: Mapping[int, int]) -> str:
    """The text with these whole numbers replaced; a number keeps its leading zeros and its script (such as Arabic)."""
    known = {str(one): str(other) for one, other in numbers.items()}

    def other(hit: re.Match[str]) -> str:
        zeros = {ord(digit) - decimal(digit) for digit in hit[0]}
        zero, number = min(zeros), "".join(str(decimal(digit)) for digit in hit[0]).lstrip("0")
        if len(zeros) > 1 or number not in known:
            return hit[0]
        return hit[0][: -len(number)] + "".join(chr(zero + int(digit)) for digit in known[number])

    return _DIGITS.sub(other, text) if numbers else text
