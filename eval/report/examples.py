"""Which rows a report shows: the worst and the most informative ones. Fixed rules always choose the same rows."""

import hashlib
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from eval.score.answered import Answered
from eval.score.measure import Answers
from eval.score.metrics import Array, Floats
from eval.score.verdict import errors, in_words
from mmafflm.benchmark.benchmark import Task
from mmafflm.records import Record

MOST_ANSWER, MOST_PROMPT = 600, 3000  # the most characters of an answer and of a prompt that are shown
UNPARSED, WORST, APART, RIGHT = 2, 2, 2, 1  # rows of each kind per task
WORST_OF_MANY = 4  # replaces WORST for a task with more than 4 languages


@dataclass(frozen=True)
class ExampleView:
    """One row as the report shows it: why it was chosen, its record, its prompt and each run's answer."""

    why: str
    record: Record
    text: str | None  # the text inside the prompt; None if the prompt has no text or not the benchmark's wording
    prompt: str
    answers: dict[str, "AnswerView"]
    pictures: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class AnswerView:
    """One run's answer: its text, the verdict on it, and its error (0: right, 1: as wrong as possible)."""

    text: str
    verdict: str
    error: float


class _Common(NamedTuple):
    """The n rows that all runs answered: their positions in each run, and the parsed results."""

    records: list[Record]
    places: dict[str, Array]  # {run name: [n]}
    wrong: Floats  # [runs, n]: errors() of each answer
    reasons: list[tuple[str | None, ...]]  # for each row, why each run's answer was not parsed; None if it was
    pairs: list[tuple[Hashable, Hashable]]  # (gold, answer) of the first run


def _common(task: Task, by_run: Mapping[str, Answered]) -> _Common:
    first = next(iter(by_run.values()))
    place = {name: {record.id: row for row, record in enumerate(of.records)} for name, of in by_run.items()}
    records = [record for record in first.records if all(record.id in rows for rows in place.values())]
    at = {name: np.array([rows[record.id] for record in records], dtype=int) for name, rows in place.items()}
    wrong = np.stack([errors(task, of.read)[at[name]] for name, of in by_run.items()])
    reasons = [[of.read.unparsed.get(int(row)) for row in at[name]] for name, of in by_run.items()]
    pairs = [_pair(first.read, int(row)) for row in at[next(iter(by_run))]]
    return _Common(records, at, wrong, list(zip(*reasons, strict=True)), pairs)


def choose(task: Task, by_run: Mapping[str, Answered]) -> list[ExampleView]:
    """The rows to show for one task: a right one, then unparsed ones, the worst ones, and those where runs differ."""
    records, places, wrong, reasons, pairs = _common(task, by_run)
    if not records:
        return []
    rows, parsed = range(len(records)), [row for row, why in enumerate(reasons) if not any(why)]
    mean, most, spread = wrong.mean(0), wrong.max(0), np.ptp(wrong, axis=0)
    often, golds = Counter(pairs), Counter(gold for gold, _ in pairs)
    worst = WORST_OF_MANY if len({record.language for record in records}) > 4 else WORST
    picked = _Picked(records)
    near = [row for row in parsed if most[row] <= 0.02]
    picked.take("right", RIGHT, near, lambda row: (mean[row], golds[pairs[row][0]]), lambda row: row)
    unread = [row for row in rows if any(reasons[row])]
    picked.take("unparsed", UNPARSED, unread, lambda row: (), lambda row: reasons[row])
    # Labels are mostly either fully right or fully wrong: of the worst rows, take the most frequent confusions first.
    off = [row for row in parsed if mean[row] > 0]
    picked.take("furthest off", worst, off, lambda row: (-mean[row], -often[pairs[row]]), lambda row: pairs[row])
    apart = [row for row in rows if spread[row] > 0]
    picked.take("the runs differ", APART, apart, lambda row: (-spread[row],), lambda row: pairs[row])
    return [
        _example(task, why, records[row], {name: (of, int(places[name][row])) for name, of in by_run.items()})
        for why, row in picked.rows
    ]


class _Picked:
    """The rows chosen so far, each only once. take() prefers new keys and languages; a hash of the id breaks ties."""

    def __init__(self, records: list[Record]) -> None:
        self.records = records
        self.rows: list[tuple[str, int]] = []

    def take(
        self,
        why: str,
        most: int,
        rows: Iterable[int],
        rank: Callable[[int], tuple[Any, ...]],
        key: Callable[[int], Hashable],
    ) -> None:
        taken = {row for _, row in self.rows}
        ranked = sorted((row for row in rows if row not in taken), key=lambda row: (*rank(row), self._hash(row)))
        languages: set[str] = set()
        keys: set[Hashable] = set()
        chosen: list[int] = []
        for other_key, other_language in ((True, True), (True, False), (False, False)):
            for row in ranked:
                if len(chosen) == most:
                    break
                if row in chosen or (other_key and key(row) in keys):
                    continue
                if other_language and self.records[row].language in languages:
                    continue
                chosen.append(row)
                languages.add(self.records[row].language)
                keys.add(key(row))
        self.rows += [(why, row) for row in chosen]

    def _hash(self, row: int) -> bytes:
        """A sort key that replaces the order of the file, because a corpus often begins with one speaker or label."""
        return hashlib.sha256(self.records[row].id.encode()).digest()


def _pair(read: Answers, row: int) -> tuple[Hashable, Hashable]:
    """(gold, answer) as keys. Rows with equal pairs show the same confusion."""
    gold: Array = np.round(read.gold[row], 1) if read.gold.dtype != bool else read.gold[row]
    answer: Array = np.round(read.prediction[row], 1) if read.gold.dtype != bool else read.prediction[row]
    return gold.tobytes(), answer.tobytes()


def _example(task: Task, why: str, record: Record, rows: dict[str, tuple[Answered, int]]) -> ExampleView:
    shown = {
        name: AnswerView(cut(of.texts[row], MOST_ANSWER), _verdict(task, of, row), float(errors_of(task, of, row)))
        for name, (of, row) in rows.items()
    }
    return ExampleView(why, record, text_of(task, record), cut(record.prompt, MOST_PROMPT), shown)


def errors_of(task: Task, rows: Answered, row: int) -> float:
    """errors() of a single row."""
    reason = rows.read.unparsed.get(row)
    one = Answers(rows.read.gold[row : row + 1], rows.read.prediction[row : row + 1], {0: reason} if reason else {})
    return float(errors(task, one)[0])


def _verdict(task: Task, rows: Answered, row: int) -> str:
    if reason := rows.read.unparsed.get(row):
        return f"unparsed: {reason}"
    off = float(np.abs(rows.read.gold[row].astype(float) - rows.read.prediction[row]).mean())
    return in_words(task, errors_of(task, rows, row), off)


def text_of(task: Task, record: Record) -> str | None:
    """The record's text inside the prompt; None when the prompt has no text, or not the benchmark's wording."""
    text = task.text_in(record.prompt, record.emotion or "")
    return None if text is None else cut(text, MOST_PROMPT)


def cut(text: str, most: int) -> str:
    """The first `most` characters of the text. A note on its length follows a text that was cut."""
    return text if len(text) <= most else f"{text[:most]} … ({len(text):,} characters in all)"
