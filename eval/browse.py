"""`mmaffben browse`: the answers of runs beside their records, read strictly, judged as compare and report judge."""

import gc
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl

from eval.answered import Answered, answered_tasks
from eval.compare import right_rows
from eval.join import run_json
from eval.report_parts.examples import errors, in_words
from eval.report_parts.load import run_names
from mmafflm.browsing.table import Table, open_table, with_answers
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault
from mmafflm.records import Record

_SCHEMA = pl.Schema({"id": pl.String(), "said": pl.String(), "verdict": pl.String(), "outcome": pl.String()})


def open_runs(runs: Sequence[Path], data: Dataset) -> Table:
    """The records that any of the runs has answered, and the answers. Raises Fault for answers to other data."""
    read = cache(lambda subset, split: tuple(data.records(subset, split)))  # once for all runs
    gc.disable()  # going through a million small objects again and again, none of them garbage, is 40% of the time
    try:
        by_run = {name: _answers(run, data, read) for name, run in zip(run_names(runs), runs, strict=True)}
    finally:
        gc.enable()
    table = with_answers(open_table(data), by_run)
    if not table.rows.height:
        raise Fault(f"{', '.join(map(str, runs))}: no answers yet. Run mmaffben predict first.")
    return table


def _answers(run: Path, data: Dataset, read: Callable[[str, str], Iterable[Record]]) -> pl.DataFrame:
    tasks = answered_tasks(run, run_json(run), data, read=read)
    # a list of lists takes polars 20 times as long to take in as texts to part
    return pl.concat([_SCHEMA.to_frame(), *map(_of_task, tasks)]).with_columns(pl.col("outcome").str.split(" "))


def _of_task(one: Answered) -> pl.DataFrame:
    """A row for each answer: right as compare has it (a number near gold is right); unparsed counts as wrong."""
    wrong = errors(one.task, one.read)
    off = np.abs(one.read.gold.astype(float) - one.read.prediction).reshape(len(wrong), -1).mean(1)
    words = [in_words(one.task, *both) for both in zip(wrong.tolist(), off.tolist(), strict=True)]
    unparsed = one.read.unparsed
    return pl.DataFrame(
        {
            "id": [record.id for record in one.records],
            "said": one.texts,
            "verdict": [f"unparsed: {unparsed[row]}" if row in unparsed else said for row, said in enumerate(words)],
            "outcome": [
                "wrong unparsed" if row in unparsed else "right" if right else "wrong"
                for row, right in enumerate(right_rows(one).tolist())
            ],
        },
        _SCHEMA,
    )
