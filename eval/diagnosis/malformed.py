"""Format: answers that the strict parser cannot read, by kind, with examples to look at."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from eval.diagnosis.finding import Finding, share
from eval.diagnosis.prose import LATIN, NONE, script
from eval.run.no_answer import reason_of
from eval.score.answered import Answered
from eval.score.bootstrap import RESAMPLES
from eval.score.normalize import LONGEST as READ
from eval.score.normalize import plain
from eval.score.paired import seed_of

EXAMPLES = 10
LONGEST = 300  # an example is cut to this number of characters
_REFUSAL = re.compile(
    r"\b(?:i(?:'m| am) (?:sorry|unable|not able)|i can(?:'t|not)|(?:as|i am|i'm) an ai|unable to|cannot (?:determine|"
    r"assist|provide|help)|no image|(?:image|video|text) (?:is|was) not (?:provided|visible|available))\b"
)
# Kinds of unparsed answers by the parser's reason; the first kind that matches is used.
_BY_REASON = (
    ("outside the scale or the label set", re.compile(r"outside|is not one of the classes")),
    ("contradicts itself", re.compile(r"contradict")),
    ("several answers where one is allowed", re.compile(
        r"at most|range or a choice|an amount for each")),
)  # fmt: skip
KINDS = (
    "rejected by the server", "empty", "refuses",
    "repeats itself", "repeats the question", *(kind for kind, _ in _BY_REASON),
    "in another script", "prose without an answer", "a word or two, no answer", "no words",
)  # fmt: skip


def malformed(tasks: Sequence[Answered], resamples: int = RESAMPLES) -> tuple[list[Finding], list[dict[str, Any]]]:
    """A finding for each task, and its unparsed answers by kind with at most ten examples each."""
    findings, details = [], []
    for one in tasks:
        rows, unparsed = len(one.records), len(one.read.unparsed)
        kinds: dict[str, list[int]] = {}
        for row, reason in one.read.unparsed.items():
            kinds.setdefault(kind_of(one.texts[row], reason, one.records[row].prompt), []).append(row)
        value, ci95 = share(unparsed, rows, seed_of("format", one.name), resamples)
        most = sorted(kinds.items(), key=lambda item: (-len(item[1]), item[0]))
        named = f" ({', '.join(f'{kind} {len(chosen)}' for kind, chosen in most[:3])})" if most else ""
        sentence = f"{one.name}: {unparsed} of {rows} answers were not parsed{named}."
        findings.append(Finding("unparsed", one.task.subset, one.task.key, "", value, ci95, rows, sentence))
        if unparsed:
            details.append(_detail(one, most, resamples) | {"ci95": ci95})
    return findings, details


def kind_of(text: str, reason: str, prompt: str) -> str:
    """The kind of an unparsed answer, one of KINDS: by its text, then the parser's reason, then script and length."""
    if reason_of(text) is not None:
        return "rejected by the server"
    said = plain(text[:READ]).strip()
    if not said:
        return "empty"
    if _REFUSAL.search(said):
        return "refuses"
    if _repeats(said):
        return "repeats itself"
    if len(said) >= 20 and said[:60] in plain(prompt):
        return "repeats the question"
    for kind, pattern in _BY_REASON:
        if pattern.search(reason):
            return kind
    if script(said) not in (NONE, LATIN):
        return "in another script"
    words = len(re.findall(r"[^\W\d_]+", said))
    return "prose without an answer" if words >= 3 else "a word or two, no answer" if words else "no words"


def _repeats(text: str) -> bool:
    """Whether three words occur three times in the same order, or one word or sign six times in a row."""
    words = text.split()
    triples = Counter(zip(words, words[1:], words[2:], strict=False))
    return max(triples.values(), default=0) >= 3 or bool(re.search(r"([^\d\s]\S{0,19}?)(?:\s?\1){5}", text))


def _detail(one: Answered, kinds: Sequence[tuple[str, list[int]]], resamples: int) -> dict[str, Any]:
    found = {}
    for kind, rows in kinds:
        _, ci95 = share(len(rows), len(one.records), seed_of("format", one.name, kind), resamples)
        # spread over the rows: the first ten often have the same language or emotion
        chosen = [rows[at * len(rows) // min(EXAMPLES, len(rows))] for at in range(min(EXAMPLES, len(rows)))]
        found[kind] = {
            "rows": len(rows),
            "share": len(rows) / len(one.records),
            "ci95": ci95,
            "examples": [
                {"id": one.records[row].id, "text": one.texts[row][:LONGEST], "reason": one.read.unparsed[row]}
                for row in chosen
            ],
        }
    return {"subset": one.task.subset, "task": one.task.key, "n": len(one.records),
            "unparsed": len(one.read.unparsed), "kinds": found}  # fmt: skip
