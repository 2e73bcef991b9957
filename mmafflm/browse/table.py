"""The records of a build: a data frame to filter, and lines on disk that are read by offset when a page shows them.

A build of 115,200 rows is a hundred megabytes of JSON; the columns that a filter needs take ten megabytes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl

from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import Dataset, split_file
from mmafflm.errors import Fault
from mmafflm.records import SPLITS, Record, read_records, to_record

# gold and translated_from have several types; here each is its JSON text
_COLUMNS = pl.Schema(
    dict.fromkeys(("id", "subset", "task", "split", "language", "emotion", "gold", "translated_from"), pl.String)
)
_LABELLED_BY_NUMBER = "emotion_intensity_ordinal"
_NO_ANSWER = "no answer"


@dataclass(frozen=True)
class Facet:
    """A filter: a column (one value a row, or a list of values) and the number of rows of each value."""

    name: str
    title: str
    values: Mapping[str, int]


@dataclass(frozen=True)
class Said:
    """One run's answer to a record: the raw text, a verdict in words, and whether the answer counts as right."""

    run: str
    text: str
    verdict: str
    right: bool


@dataclass(frozen=True)
class RecordTable:
    """The rows of a build, with what the page needs to filter and to find them.

    `rows` has the columns row, id, emotion, gold (as JSON), file (index into `files`), start and length of its line in
    bytes, and one column for each facet.
    """

    root: Path  # DATA
    files: tuple[Path, ...]
    rows: pl.DataFrame
    facets: tuple[Facet, ...]
    runs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()  # remarks about the runs, a sentence each

    def record(self, row: int) -> Record:
        """The record of a row, read from its file. Raises Fault when the file has changed since it was opened."""
        at, start, length, name = self.rows.select("file", "start", "length", "id").row(row)
        path = self.files[at]
        try:
            with path.open("rb") as lines:
                lines.seek(start)
                return _record(path, lines.read(length), name)
        except OSError:
            raise _changed(path) from None

    @cached_property
    def lowered(self) -> pl.Series:
        """The text and the gold answer of every row in lower case, to search in.

        They are read at the first search, because most users do not search. Raises Fault when a file has changed.
        """
        found: list[str] = []
        for (at,), rows in self.rows.select("file", "start", "length", "id").group_by("file", maintain_order=True):
            path = self.files[int(str(at))]
            try:
                content = path.read_bytes()
            except OSError:
                raise _changed(path) from None
            found += (
                _lowered(path, content[start : start + length], name) for _, start, length, name in rows.iter_rows()
            )
        return pl.Series(found, dtype=pl.String)

    def answers(self, row: int) -> list[Said]:
        """The runs' answers to a row, in the order of the runs; runs without an answer are left out."""
        found = self.rows.row(row, named=True)
        return [
            Said(run, found[f"said{at}"], found[f"verdict{at}"], "right" in found[f"run{at}"])
            for at, run in enumerate(self.runs)
            if found[f"said{at}"] is not None
        ]


def _lowered(path: Path, line: bytes, name: str) -> str:
    """The text and the gold answer in a line, in lower case. Faster than making a Record, and enough for a search."""
    try:
        row = orjson.loads(line)
        question, answer = (one["content"] for one in row["messages"])
        before, after = _around(row["subset"], row["task"], row.get("emotion") or "")
    except (ValueError, TypeError, KeyError):
        raise _changed(path) from None
    if row["id"] != name:
        raise _changed(path)
    return f"{question.removeprefix(before).removesuffix(after)}\n{answer}".lower()


@cache
def _around(subset: str, task: str, emotion: str) -> tuple[str, str]:
    """The benchmark's prompt before and after the text; the whole prompt and "" when the prompt has no text."""
    before, _, after = benchmark()[subset].task(task).ask("\x00", emotion).partition("\x00")
    return before, after


def _record(path: Path, line: bytes, name: str) -> Record:
    """The record with this id in a line. Raises Fault when the line holds anything else."""
    try:
        record = to_record(orjson.loads(line))
    except (ValueError, TypeError):
        raise _changed(path) from None
    if record.id != name:
        raise _changed(path)
    return record


def _changed(path: Path) -> Fault:
    return Fault(f"{path}: changed since it was opened. Stop the browser and start it again.")


def open_table(data: Dataset, names: Sequence[str] | None = None) -> RecordTable:
    """The records of the files `names` below DATA, or of all files: training, then validation, then tests.

    Raises Fault when there is no such file, or one cannot be read.
    """
    every = [split_file(subset, split) for split in SPLITS for subset in data.subsets(split)]
    files = tuple(data.path / name for name in every if names is None or name in names)
    if not files:
        raise Fault(f"{data.path}: its manifest lists no record files to show. Build again.")
    rows = pl.concat([_read(path, at) for at, path in enumerate(files)]).with_row_index("row")
    named = {name: name for name in ("subset", "split", "language", "task", "label", "translated")}
    return RecordTable(data.path, files, rows, _facets(rows, named))


def with_answers(table: RecordTable, by_run: Mapping[str, pl.DataFrame], notes: Sequence[str] = ()) -> RecordTable:
    """The records that at least one run has answered, with the answers.

    by_run: for each run, a data frame with the columns row, said (the raw answer), verdict (in words) and outcome (a
    list: "right", "wrong", or "wrong" and "unparsed").
    """
    rows = table.rows
    for at, answers in enumerate(by_run.values()):
        renamed = answers.rename({"said": f"said{at}", "verdict": f"verdict{at}", "outcome": f"run{at}"})
        rows = rows.join(renamed, on="row", how="left", maintain_order="left")
    each = [pl.col(f"run{at}") for at in range(len(by_run))]
    rows = rows.filter(pl.any_horizontal(one.is_not_null() for one in each)).drop("row").with_row_index("row")
    rows = rows.with_columns(one.fill_null([_NO_ANSWER]) for one in each)
    rows = rows.with_columns(any=pl.concat_list(each).list.unique())
    named = {facet.name: facet.title for facet in table.facets}
    named |= {"any": "any run"} if len(by_run) > 1 else {}
    named |= {f"run{at}": run for at, run in enumerate(by_run)}
    return RecordTable(table.root, table.files, rows, _facets(rows, named), tuple(by_run), tuple(notes))


def _read(path: Path, at: int) -> pl.DataFrame:
    """The columns of one file, with the offset of each line."""
    try:
        content = path.read_bytes()
        rows = pl.read_ndjson(content, schema=_COLUMNS)
    except FileNotFoundError:
        raise Fault(f"{path}: missing, but the manifest lists it. Build again, or restore it.") from None
    except pl.exceptions.PolarsError as error:
        for _ in read_records(path):  # raises a Fault that names the line
            pass
        raise Fault(f"{path}: cannot be read as records ({error}). Build the data again.") from None
    ends = np.flatnonzero(np.frombuffer(content, np.uint8) == ord("\n")) + 1
    if len(ends) != rows.height:
        raise Fault(f"{path}: {rows.height} records, {len(ends)} lines that end with a newline. Build the data again.")
    starts = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
    return rows.select(
        pl.exclude("translated_from"),
        label=_labels(),
        translated=_translated(),
        file=pl.lit(at, pl.UInt16),
        start=pl.Series(starts, dtype=pl.UInt64),
        length=pl.Series(ends - starts, dtype=pl.UInt32),
    )


def _labels() -> pl.Expr:
    """The labels of a row, or the class of an ordinal task; an empty list for other numbers."""
    gold = pl.col("gold")
    listed = pl.when(gold.str.starts_with("[")).then(gold).otherwise(pl.lit("[]")).str.json_decode(pl.List(pl.String))
    return pl.when(pl.col("task") == _LABELLED_BY_NUMBER).then(pl.concat_list(gold)).otherwise(listed)


def _translated() -> pl.Expr:
    origin = pl.col("translated_from")
    language = pl.format("from {}", origin.str.json_path_match("$.language").fill_null("und"))
    return pl.when(origin.is_null()).then(pl.concat_list(pl.lit("no"))).otherwise(
        pl.concat_list(pl.lit("yes"), language)
    )  # fmt: skip


def _facets(rows: pl.DataFrame, named: Mapping[str, str]) -> tuple[Facet, ...]:
    """Each column's values: numbers, then words in alphabetical order; subsets and splits in the order of the build."""
    return tuple(Facet(name, title, _values(rows[name])) for name, title in named.items())


def _values(column: pl.Series) -> dict[str, int]:
    counted = column.name in ("subset", "split")
    values = column.explode() if isinstance(column.dtype, pl.List) else column
    found: list[tuple[Any, int]] = values.drop_nulls().value_counts(name="rows").rows()
    order = {} if not counted else {value: at for at, value in enumerate(values.unique(maintain_order=True))}
    return dict(sorted(found, key=lambda one: order.get(one[0], 0) if counted else _natural(one[0])))


def _natural(value: str) -> tuple[bool, float, str]:
    """Sort key: class -3 before class 2, and numbers before words."""
    try:
        return False, float(json.loads(value)), value
    except (ValueError, TypeError):
        return True, 0.0, value
