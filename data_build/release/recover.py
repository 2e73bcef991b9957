"""Recover what released rows lack: task and emotion from prompt, order or answer; language from order or letters.

A language that a row states is used as it is. The order within the tests is that of splits.csv (published evaluator):
SemEval's tasks one after the other, each by emotion, and MMS and XED with 500 rows of each language.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from data_build.reading.corpus import NO_LANGUAGE
from data_build.release.gold import emotion_in, read_gold
from data_build.rows.words import pattern_of, quoted_text
from mmafflm.benchmark.benchmark import Subset, Task
from mmafflm.benchmark.grammar import Ordinal

UNKNOWN = "und"  # ISO 639: undetermined
# The letters of the benchmark's languages that are not written in the Latin script, except those in MIXED.
SCRIPTS = {
    "ar": "\u0600-\u06ff", "fa": "\u0600-\u06ff", "ur": "\u0600-\u06ff", "bg": "\u0400-\u04ff", "ru": "\u0400-\u04ff",
    "el": "\u0370-\u03ff", "he": "\u0590-\u05ff", "hi": "\u0900-\u097f", "th": "\u0e00-\u0e7f",
    "ja": "\u3040-\u30ff", "ko": "\uac00-\ud7af", "zh": "\u4e00-\u9fff",
}  # fmt: skip
MIXED = {"sr", "bs"}  # may be written in Latin or Cyrillic
FOREIGN = re.compile("[" + "".join(sorted(set(SCRIPTS.values()))) + "]")
# The share of a language's rows that must have its letters (MOST), and the share of the rows of a language in Latin
# script that may have letters of other scripts (LEAST).
MOST, LEAST = 0.8, 0.2


class Asked(NamedTuple):
    """The task, emotion and text of a prompt. `how`: whether prompt, order or answer showed the task.

    `exact`: the prompt is literally our own.
    """

    task: Task
    emotion: str | None
    text: str
    how: str
    exact: bool


def asked(subset: Subset, prompt: str, answer: str, position: int | None) -> Asked:
    """Determine the task, emotion and text of a row. position: from 0, in a test of the published size; otherwise None.

    Raises ValueError when the task or its emotion cannot be determined.
    """
    by_order = _at(subset, position)
    for task in subset.tasks:
        match = pattern_of(task.prompt).fullmatch(prompt.strip())
        if match:
            emotion = _emotion(task, match.groupdict().get("emotion"), answer, by_order)
            text = (match.groupdict().get("text") or "").strip()
            return Asked(task, emotion, text, "prompt", task.ask(text, emotion or "") == prompt)
    fitting = [task for task in subset.tasks if _fits(task, answer)]
    if by_order and by_order[0] in fitting:
        task, how = by_order[0], "order"
    elif len(fitting) == 1:
        task, how = fitting[0], "answer"
    else:
        names = ", ".join(task.key for task in fitting) or "none of its tasks"
        raise ValueError(f"the prompt is not one of {subset.name}'s prompts, and the answer fits {names}")
    return Asked(task, _emotion(task, _named(prompt), answer, by_order), quoted_text(prompt), how, False)


def _at(subset: Subset, position: int | None) -> tuple[Task, str | None] | None:
    """Task and emotion according to the position in the published test; None without a position, or beyond the end."""
    if position is None:
        return None
    for task in subset.tasks:
        if position < task.test_rows:
            for emotion, rows in task.emotion_rows:
                if position < rows:
                    return task, emotion
                position -= rows
            return task, None
        position -= task.test_rows
    return None


def _emotion(task: Task, named: str | None, answer: str, by_order: tuple[Task, str | None] | None) -> str | None:
    if not task.emotions:
        return None
    ordered = by_order[1] if by_order and by_order[0] is task else None
    named = (named or "").lower() or (emotion_in(answer) if isinstance(task.grammar, Ordinal) else None) or ordered
    if named not in task.emotions:
        raise ValueError(f"emotion {named!r} is not one of {', '.join(task.emotions)}")
    return named


def _named(prompt: str) -> str | None:
    match = re.search(r"[Ee]motion(?: E)?:\s*(\w+)", prompt)
    return match[1] if match else None


def _fits(task: Task, answer: str) -> bool:
    try:
        read_gold(task.grammar, answer, emotion_in(answer))
    except ValueError:
        return False
    # "0.5" is a score, and so may be a bare "0" or "-1"; an ordinal answer also has the words of its class
    return not isinstance(task.grammar, Ordinal) or ":" in answer


class Languages(NamedTuple):
    """Each row's language, and how `languages` found them, for import.md."""

    each: list[str]
    how: str


def languages(subset: Subset, split: str, texts: Sequence[str], written: Sequence[str | None]) -> Languages:
    """The language of every row of a file, in order. texts: "" for unreadable rows. written: languages in the rows."""
    if subset.modality == "image":
        return Languages([NO_LANGUAGE] * len(texts), "none: pictures")
    if len(subset.languages) == 1:
        only = subset.languages[0]
        return Languages([language or only for language in written], "the subset has only one")
    if any(written):
        return Languages([language or UNKNOWN for language in written], "written in the rows")
    blocks = _blocks(subset, len(texts))
    published = split == "test" and len(texts) == subset.test_rows
    if subset.modality == "text" and blocks and _letters_agree(texts, blocks):
        return Languages(blocks, "the published order" if published else "blocks of one size in the published order")
    found = [_by_letters(subset, text) for text in texts]
    return Languages(found, "letters that only one of its languages has; the rest is not recovered")


def _blocks(subset: Subset, rows: int) -> list[str]:
    """Equal blocks of the subset's languages in the published order; empty when the rows do not divide evenly."""
    each, rest = divmod(rows, len(subset.languages))
    return [] if rest else [language for language in subset.languages for _ in range(each)]


def _letters_agree(texts: Sequence[str], blocks: Sequence[str]) -> bool:
    rows: Counter[str] = Counter(blocks)
    own: Counter[str] = Counter()
    for text, language in zip(texts, blocks, strict=True):
        letters = _letters(language)
        own[language] += bool(letters.search(text))
    return all(
        own[language] >= MOST * count if language in SCRIPTS else own[language] <= LEAST * count
        for language, count in rows.items()
        if language not in MIXED
    )


@cache
def _letters(language: str) -> re.Pattern[str]:
    return re.compile(f"[{SCRIPTS[language]}]") if language in SCRIPTS else FOREIGN


def _by_letters(subset: Subset, text: str) -> str:
    """The language of the subset that alone has letters found in the text; "und" if there is not exactly one."""
    shared = Counter(SCRIPTS[language] for language in subset.languages if language in SCRIPTS)
    shared["\u4e00-\u9fff"] += "ja" in subset.languages
    found = [
        language
        for language in subset.languages
        if language in SCRIPTS and shared[SCRIPTS[language]] == 1 and _letters(language).search(text)
    ]
    return found[0] if len(found) == 1 else UNKNOWN


def language_of_path(subset: Subset, file: str) -> str | None:
    """The language that a folder in a clip's path shows, as in SAMSEMO's own paths: data/EN/x.mp4. None: unknown."""
    found = {part.lower() for part in re.split(r"[/\\]", file)[:-1]} & set(subset.languages)
    return found.pop() if len(found) == 1 and len(subset.languages) > 1 else None
