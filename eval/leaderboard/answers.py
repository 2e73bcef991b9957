"""The answers of all runs to one subset, parsed together: each distinct pair of gold and answer is parsed once.

Twenty runs of the benchmark have 1.9 million answers, but only a tenth of these are distinct.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson

from eval.leaderboard.entries import BoardEntry
from eval.run.join import join, load_predictions
from eval.run.selection import Selection
from eval.score.groups import groups_of
from eval.score.measure import MODES, Answers, answers
from eval.score.metrics import Array, Bools
from mmafflm.benchmark.benchmark import Task, benchmark
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault
from mmafflm.records import Record

_NOT_ASKED = ""  # replaces the answer to a row that a run did not answer; no score uses it


@dataclass(frozen=True)
class RowsOfRuns:
    """n rows of one task, and the answers of all runs to them.

    asked: {run name: [n], whether the run answered the row}. read: {mode: {run name: the run's parsed answers}}.
    """

    task: Task
    language: str | None  # None: all languages of the task
    emotions: Array | None  # [n] if each emotion is scored separately, else None
    languages: Array  # [n]
    groups: Array  # [n]: rows with the same number depend on each other (eval/score/groups.py)
    asked: dict[str, Bools]
    read: dict[str, dict[str, Answers]]

    def in_language(self, language: str) -> "RowsOfRuns":
        """Only the rows in one language, and only the runs that answered at least one of them."""
        rows = self.languages == language
        asked = {name: of[rows] for name, of in self.asked.items() if of[rows].any()}
        read = {
            mode: {name: Answers(of[name].gold[rows], of[name].prediction[rows], {}) for name in asked}
            for mode, of in self.read.items()
        }
        return RowsOfRuns(self.task, language, None, self.languages[rows], self.groups[rows], asked, read)


def rows_of_runs(subset: str, entries: Sequence[BoardEntry], data: Dataset) -> list[RowsOfRuns]:
    """Every task of a subset, with the answers of the runs that have scores for the subset.

    Raises Fault when a run's file of answers is malformed or does not have exactly one answer to each of its records.
    """
    records = list(data.records(subset, "test"))
    place = {record.id: at for at, record in enumerate(records)}
    texts = {one.name: _texts(subset, one, records, place) for one in entries if subset in one.subsets}
    found = []
    for task in benchmark()[subset].tasks:
        rows = [at for at, record in enumerate(records) if record.task == task.kind]
        asked = {name: [said[at] for at in rows] for name, said in texts.items()}
        asked = {name: said for name, said in asked.items() if any(one is not None for one in said)}
        if asked:
            found.append(_parsed(task, [records[at] for at in rows], asked))
    return found


def _texts(subset: str, one: BoardEntry, records: Sequence[Record], place: dict[str, int]) -> list[str | None]:
    """A run's answer to each record; None for a record that the run did not select."""
    path = one.run.folder / "predictions" / f"{subset}.jsonl"
    ids, said = _load(path)
    wanted = Selection.of_run(one.run.described).of(records)
    found: list[str | None] = [None] * len(records)
    for name, text in zip(ids, said, strict=True):
        if (at := place.get(name)) is None or found[at] is not None:
            break
        found[at] = text
    if len(ids) != len(wanted) or any(found[place[record.id]] is None for record in wanted):
        try:
            join(subset, wanted, load_predictions(path))  # raises a Fault with the ids of the wrong answers
        except Fault as fault:
            raise Fault(f"{path}: {fault}") from None
    return found


def _load(path: Path) -> tuple[list[str], list[str]]:
    """The ids and the texts of a file of answers."""
    lines = path.read_bytes().splitlines()
    try:
        rows = orjson.loads(b"[" + b",".join(lines) + b"]")
        ids, said = [row["id"] for row in rows], [row["prediction"] for row in rows]
        if len(rows) == len(lines) and all(type(one) is str for one in (*ids, *said)):
            return ids, said
    except (ValueError, TypeError, KeyError):
        pass
    load_predictions(path)  # raises a Fault with the number of the wrong line
    raise Fault(f"{path}: expected exactly one answer (a JSON object) on each line. Predict again.")


def _parsed(task: Task, records: Sequence[Record], texts: dict[str, list[str | None]]) -> RowsOfRuns:
    """The answers of each run to the records of one task, in every mode."""
    questions: dict[tuple[str, str | None, bytes], int] = {}
    asks = [questions.setdefault((one.answer, one.emotion, orjson.dumps(one.gold)), len(questions)) for one in records]
    codes: dict[str, int] = {}
    said = [codes.setdefault(text or _NOT_ASKED, len(codes)) for of in texts.values() for text in of]
    keys = np.tile(np.array(asks), len(texts)) * len(codes) + np.array(said)
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    words = list(codes)
    chosen = [records[at % len(records)] for at in first.tolist()]
    spoken = [words[said[at]] for at in first.tolist()]
    read: dict[str, dict[str, Answers]] = {}
    for mode in MODES:
        once = answers(task, chosen, spoken, mode)
        parts = np.split(inverse, len(texts))
        read[mode] = {
            name: Answers(once.gold[at], once.prediction[at], {}) for name, at in zip(texts, parts, strict=True)
        }
    emotions = np.array([one.emotion for one in records], dtype=str) if task.per_emotion else None
    asked = {name: np.array([text is not None for text in of]) for name, of in texts.items()}
    languages = np.array([one.language for one in records])
    return RowsOfRuns(task, None, emotions, languages, groups_of(records), asked, read)
