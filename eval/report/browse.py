"""`mmaffben browse`: the answers of runs next to their records, parsed in strict mode, judged as in compare and report.

The code works on columns, not objects. Of 190,000 answers, about 30,000 differ in question, gold or text; each of these
is parsed once.
"""

import gc
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
import polars as pl

from eval.report.load import run_names
from eval.run.join import load_predictions, require_data, run_json
from eval.run.run_folder import RunFolder
from eval.run.selection import split_of
from eval.score.answered import known_subsets
from eval.score.measure import strict
from eval.score.verdict import errors, in_words, right_rows
from mmafflm.benchmark.benchmark import Task, benchmark
from mmafflm.browse.table import RecordTable, open_table, with_answers
from mmafflm.dataset import Dataset, split_file
from mmafflm.errors import Fault

_SAID = pl.Schema({"id": pl.String(), "said": pl.String()})
_ASKED = ["subset", "task", "emotion", "gold"]  # these and the text determine how an answer is parsed and judged


class _Run(NamedTuple):
    """A run: its folder, its run.json, and {subset: the path of the subset's records below DATA}."""

    folder: Path
    described: dict[str, Any]
    files: dict[str, str]


def open_runs(folders: Sequence[Path], data: Dataset) -> RecordTable:
    """The records that any run has answered so far, and the answers.

    Raises UsageFault for a folder that is given twice; Fault for runs on other data, changed records, wrong answers,
    and when no run has an answer yet.
    """
    runs = {name: _run(folder, data) for name, folder in zip(run_names(folders), folders, strict=True)}
    names = list(dict.fromkeys(file for run in runs.values() for file in run.files.values()))
    gc.disable()  # garbage collection would scan the many small live objects repeatedly and double the time
    try:
        with ThreadPoolExecutor(1) as beside:
            unchanged = beside.submit(data.require_unchanged, names)
            table = open_table(data, names)
            said = {name: _said(run, table) for name, run in runs.items()}
            unchanged.result()
        judged = _judged(table, said)
    finally:
        gc.enable()
    if not any(answers.height for answers in judged.values()):
        raise Fault(f"{', '.join(map(str, folders))}: no answers yet. Run mmaffben predict first.")
    notes = [note for name, run in runs.items() for note in _unfinished(name, run, judged[name].height)]
    return with_answers(table, judged, notes)


def _run(folder: Path, data: Dataset) -> _Run:
    described = run_json(folder)
    require_data(folder, described, data)
    split = split_of(described)
    return _Run(
        folder, described, {name: split_file(name, split) for name in known_subsets(folder, described, data, None)}
    )


def _unfinished(name: str, run: _Run, found: int) -> Iterator[str]:
    """For an unfinished run, a note with the number of its answers."""
    wanted = sum(run.described["subsets"][subset].get("expected", 0) for subset in run.files)
    if found < wanted:
        yield f"{name}: {found:,} of its {wanted:,} answers so far"


def _said(run: _Run, table: RecordTable) -> pl.DataFrame:
    """Columns row and said (the text) for every answer of a run so far."""
    files = {name: table.files.index(table.root / file) for name, file in run.files.items()}
    known = table.rows.select("row", "id", pl.col("file").cast(pl.UInt32))
    parts = [
        _load(path).with_columns(file=pl.lit(at, pl.UInt32))
        for name, at in files.items()
        for path in RunFolder(run.folder).files(name)
    ]
    answers = pl.concat([_SAID.to_frame().with_columns(file=pl.lit(0, pl.UInt32)), *parts]).unique(maintain_order=True)
    found = answers.join(known, on=["id", "file"], how="left", maintain_order="left")
    for bad, what in (
        (found["row"].is_null(), "is not a record of {}"),
        (found["row"].is_duplicated(), "has two different answers in this run, to a record of {}"),
    ):
        if bad.any():
            name, at = found.filter(bad).select("id", "file").row(0)
            raise Fault(f"{run.folder}: {name} {what.format(table.files[at])}. Remove the line, or predict again.")
    return found.select("row", "said")


def _load(path: Path) -> pl.DataFrame:
    """Columns id and said for every answer in a file. Raises Fault for a line that is not an answer.

    An incomplete last line is ignored: a process is still writing it, or was killed.
    """
    content = b""
    with suppress(FileNotFoundError):  # the file was not begun, or has just been merged into another
        content = path.read_bytes()
    try:
        lines = content[: content.rfind(b"\n") + 1].splitlines()
        rows = orjson.loads(b"[" + b",".join(lines) + b"]")
        if len(rows) != len(lines):
            raise ValueError
        return pl.DataFrame([[row["id"] for row in rows], [row["prediction"] for row in rows]], _SAID)
    except (ValueError, TypeError, KeyError):
        load_predictions(path)  # raises a Fault with the number of the wrong line
        raise


def _judged(table: RecordTable, said: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Columns row, said, verdict and outcome for every answer of each run."""
    every = pl.concat([frame.with_columns(run=pl.lit(at, pl.UInt32)) for at, frame in enumerate(said.values())])
    every = every.join(table.rows.select("row", *_ASKED), on="row", how="left", maintain_order="left")
    distinct = every.select(*_ASKED, "said").unique(maintain_order=True)
    verdicts, outcomes, parts = [], [], []
    for (subset, kind), rows in distinct.partition_by("subset", "task", as_dict=True).items():
        words, outcome = _verdicts(benchmark()[str(subset)].task(str(kind)), rows)
        verdicts += words
        outcomes += outcome
        parts.append(rows)
    read = pl.concat([distinct.clear(), *parts]).with_columns(
        verdict=pl.Series(verdicts, dtype=pl.String),
        # polars takes 20 times as long to convert a list of lists as to split texts
        outcome=pl.Series(outcomes, dtype=pl.String).str.split(" "),
    )
    every = every.join(read, on=[*_ASKED, "said"], how="left", nulls_equal=True, maintain_order="left").drop(_ASKED)
    return {name: every.filter(run=at).drop("run") for at, name in enumerate(said)}


def _verdicts(task: Task, rows: pl.DataFrame) -> tuple[list[str], list[str]]:
    """Each row's verdict and outcome. "right" has the same meaning as in compare: a number near gold is right."""
    read = strict(
        task, [orjson.loads(gold) for gold in rows["gold"]], rows["emotion"].to_list(), rows["said"].to_list()
    )
    wrong = errors(task, read)
    off = np.abs(read.gold.astype(float) - read.prediction).reshape(len(wrong), -1).mean(1)
    words = [in_words(task, *both) for both in zip(wrong.tolist(), off.tolist(), strict=True)]
    outcomes = ["right" if right else "wrong" for right in right_rows(task, read).tolist()]
    for row, reason in read.unparsed.items():
        words[row], outcomes[row] = f"unparsed: {reason}", "wrong unparsed"
    return words, outcomes
