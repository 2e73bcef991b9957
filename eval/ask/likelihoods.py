"""Answer with the likelihoods of candidates instead of generated text: `mmaffben predict --readout expectation|choice`.

    RUN/likelihoods/SUBSET.jsonl       {"id", "logp": [...]}: ln of the probability of each candidate of the task
    RUN/likelihoods/SUBSET.val.jsonl   the same for the validation rows on which a label set's thresholds are tuned
    RUN/readout.json                   the candidates of each task; the thresholds, and the rows that they are tuned on

The predictions are computed from these files only, so they can be computed again without the model. To "weigh" a row
means to compute the likelihoods of its candidates.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from eval.ask.ablation import questions
from eval.ask.variants import form
from eval.engines import Engine
from eval.run.run_folder import LIKELIHOODS, RunFolder
from eval.score.readout import candidates, log_shares, needs_thresholds, read_out, readout_of
from eval.score.thresholds import LEAST_ROWS, fit, untuned
from mmafflm.benchmark.benchmark import Task, benchmark
from mmafflm.benchmark.grammar import Labels
from mmafflm.dataset import Dataset, split_file
from mmafflm.errors import Fault, UsageFault
from mmafflm.files.documents import read_json
from mmafflm.records import Record, media_files, write_text
from mmafflm.sampling import sample
from mmafflm.terminal.command import say
from mmafflm.terminal.progress_bar import Advance

READOUT = "readout.json"
VALIDATION_ROWS = 500  # the most rows for the thresholds of one label set; a smaller --limit lowers it
DIGITS = 5  # decimals of a log-likelihood to keep: sums computed in another order differ in the sixth decimal


def task_of(record: Record) -> Task:
    """The task of a record."""
    return benchmark()[record.subset].task(record.task)


def groups(records: Sequence[Record]) -> Iterator[tuple[Task, str | None, list[Record]]]:
    """Group rows by task and emotion: a group shares its candidates, its longest answer and most of its prompt."""
    by_task = sorted(records, key=lambda record: (record.task, record.emotion or ""))
    for (_, emotion), group in groupby(by_task, key=lambda record: (record.task, record.emotion)):
        asked = list(group)
        yield task_of(asked[0]), emotion, asked


def validation_rows(data: Dataset, subset: str, limit: int | None) -> list[Record]:
    """The validation rows for the thresholds of a subset's label set.

    Prints a message and returns [] when there are fewer than LEAST_ROWS. Raises Fault for changed or missing files.
    """
    label_set = next(task for task in benchmark()[subset].tasks if needs_thresholds(task))
    found: list[Record] = []
    if subset in data.subsets("val"):
        data.require_unchanged([split_file(subset, "val")])
        found = [record for record in data.records(subset, "val") if record.task == label_set.kind]
    found = sample(found, min(VALIDATION_ROWS, limit or VALIDATION_ROWS))
    if len(found) < LEAST_ROWS:
        say(f"{subset}: {len(found)} validation rows; to tune the thresholds of its labels, {LEAST_ROWS} are needed. "
            "Without tuning, a label is chosen if its share is at least 1 / the number of labels.")  # fmt: skip
        return []
    data.require_media(name for record in found for name in media_files(record))
    return found


class Weighing:
    """The rows of a run that are answered from likelihoods, for one process; no rows if the readout is greedy."""

    def __init__(
        self, answers: RunFolder, data: Dataset, chosen: Mapping[str, Sequence[Record]], readout: str, limit: int | None
    ) -> None:
        """answers: where the predictions are written. chosen: all records of the run. Raises UsageFault when the
        readout needs thresholds and the records are from the val split, on which thresholds are tuned."""
        self.answers, self.readout = answers, readout
        self.folder = RunFolder(answers.out, answers.shard, LIKELIHOODS)
        self.rows: dict[str, list[Record]] = {}  # by the name of the file with their likelihoods
        for subset, records in chosen.items():
            weighed = [record for record in records if readout_of(task_of(record), readout) != "greedy"]
            if any(needs_thresholds(task_of(record)) for record in weighed):
                if weighed[0].split == "val":
                    raise UsageFault(f"--split val --readout {readout}: the thresholds of {subset} are tuned on these "
                                     "rows. Use --readout greedy, or leave out this subset (--subsets).")  # fmt: skip
                if found := validation_rows(data, subset, limit):
                    self.rows[f"{subset}.val"] = found
            if weighed:
                self.rows[subset] = weighed

    def left(self) -> Counter[str]:
        """How many rows of each modality this process still has to weigh."""
        count = Counter[str]()
        for name, rows in self.rows.items():
            count[task_of(rows[0]).modality] += len(self._wanted(name, rows))
        return count

    def _wanted(self, name: str, rows: Sequence[Record]) -> set[str]:
        done = self.folder.answered(name, self.rows[name])
        return {row.id for row in rows if row.id not in done and self.folder.shard.has(row.id)}

    def ask(self, engine: Engine, subset: str, batch_size: int, ablation: str, advance: Advance) -> None:
        """Weigh a subset's rows; when all processes together have weighed all rows, make the predictions."""
        if subset not in self.rows:
            return
        self._keep_candidates(subset, ablation)
        names = [name for name in (f"{subset}.val", subset) if name in self.rows]
        for name in names:
            # Thresholds are properties of the checkpoint, so the validation rows are weighed without an ablation.
            self._weigh(engine, name, batch_size, ablation if name == subset else "none", advance)
        # Finish both files at the end, so that the last of several processes finds all rows of both.
        if not sum([self.folder.finish(name, self.rows[name]) for name in names]):
            self._read_out(subset)

    def _weigh(self, engine: Engine, name: str, batch_size: int, ablation: str, advance: Advance) -> None:
        self.folder.mend(name)
        for task, emotion, asked in groups(self.rows[name]):
            left = self._wanted(name, asked)
            wanted = [at for at, row in enumerate(asked) if row.id in left]
            if not wanted:
                continue  # with no rows left, the engine may not be loaded
            # Another numbering changes the candidates' texts, but neither their meaning nor their order.
            texts = [one.text for one in candidates(form(task, ablation).task, emotion)]
            for batch in engine.likelihoods(questions(asked, ablation), wanted, texts, batch_size):
                found = {asked[at].id: [round(value, DIGITS) for value in logp] for at, logp in batch}
                if broken := [row for row, logp in found.items() if not all(map(math.isfinite, logp))]:
                    raise Fault(f"{broken[0]}: a likelihood is not a finite number. The model's weights are broken.")
                self.folder.append(name, found)
                advance({task.modality: len(found)})

    def _read_out(self, subset: str) -> None:
        """Make the predictions of all weighed rows from their likelihoods."""
        thresholds = self._thresholds(subset)
        logp = self._likelihoods(subset)
        made: dict[str, str] = {}
        for task, emotion, asked in groups(self.rows[subset]):
            of_task = thresholds if needs_thresholds(task) else None
            made |= {row.id: read_out(task, logp[row.id], emotion, of_task) for row in asked}
        self.answers.put(subset, made)

    def _likelihoods(self, name: str) -> dict[str, list[float]]:
        found = self.folder.answered(name, self.rows[name])
        for row in self.rows[name]:
            expected = len(candidates(task_of(row), row.emotion))
            if not isinstance(found[row.id], list) or len(found[row.id]) != expected:
                raise Fault(
                    f"{self.folder.out}/likelihoods/{name}.jsonl: {row.id} does not have {expected} numbers, one for "
                    "each candidate. Remove the line and predict again."
                )
        return found

    def _thresholds(self, subset: str) -> dict[str, float | None] | None:
        """The thresholds of the subset's label set, kept in readout.json; None if it has no label set.

        They are tuned on the validation rows, or the same for all labels when there are fewer than LEAST_ROWS.
        """
        tasks = [task for task in benchmark()[subset].tasks if needs_thresholds(task)]
        if not tasks:
            return None
        labels, rows = tasks[0].grammar, self.rows.get(f"{subset}.val", [])
        assert isinstance(labels, Labels)
        fitted = untuned(labels)
        if rows:
            found = self._likelihoods(f"{subset}.val")
            gold = np.array([[name in row.gold for name in labels.names] for row in rows])  # type: ignore[operator]
            fitted = fit(labels, log_shares([found[row.id] for row in rows]), gold)
        self._keep("thresholds", subset, {
            "task": tasks[0].key,
            "tuned": bool(rows),
            "split": "val",
            "rows": len(rows),
            "ids_sha256": hashlib.sha256("\n".join(row.id for row in rows).encode()).hexdigest(),
            "best": "macro_f1",
            "log_thresholds": fitted.thresholds,
            "common": fitted.common,
        })  # fmt: skip
        return fitted.thresholds

    def _keep_candidates(self, subset: str, ablation: str) -> None:
        """Write the candidates into readout.json. Raises Fault when the file had other candidates for this subset."""
        found = {
            " ".join(filter(None, (task.key, emotion))): [
                one.text for one in candidates(form(task, ablation).task, emotion)
            ]
            for task, emotion, _ in groups(self.rows[subset])
        }
        if self._keep("candidates", subset, found) not in (None, found):
            raise Fault(
                f"{self.folder.out / READOUT}: an earlier version used other candidates for {subset}. "
                "Choose another --out."
            )

    def _keep(self, part: str, subset: str, row: dict[str, Any]) -> Any:
        """Write a subset's entry into a part of readout.json; returns the previous entry, or None.

        Raises Fault when readout.json is not JSON of the expected form.
        """
        path = self.folder.out / READOUT
        with self.folder.alone():
            fix = "Remove the file and predict again: it is made from the likelihoods."
            kept = read_json(path, fix) if path.exists() else {}
            if not isinstance(kept.get(part, {}), dict):
                raise Fault(f"{path}: {part} is not an object. {fix}")
            before = kept.get(part, {}).get(subset)
            if before != row:
                head = {"schema": 1, "readout": self.readout}
                kept = head | kept | {part: kept.get(part, {}) | {subset: row}}
                write_text(path, json.dumps(kept, ensure_ascii=False, indent=1) + "\n")
        return before
