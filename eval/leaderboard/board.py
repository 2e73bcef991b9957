"""The leaderboard as values: each table in each mode, with a row of cells for each model, ordered by modalities."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from eval.ask.paper_models import paper_models
from eval.leaderboard.answers import rows_of_runs
from eval.leaderboard.columns import MODALITIES, BoardTable, Column, board_tables
from eval.leaderboard.draws import ComparedRuns, Ranked, corrected, rank
from eval.leaderboard.entries import BoardEntry
from eval.report.averages import RunAverage, averages
from eval.score.aggregate import Unit, judge_mean
from eval.score.figure import figure, on_parsed, supported
from eval.score.measure import MODES
from eval.score.permutation import Judged, judge
from mmafflm.benchmark.benchmark import Task, benchmark, paper_scores
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault
from mmafflm.terminal.progress_bar import progress

NEAR = 1e-6  # a score in a file that differs by less from the score computed from the answers comes from these answers


class BoardCell(NamedTuple):
    """A model's score in one column. marked: it is the column's best, or the test cannot tell it from the best.
    p: the p-value of the test against the best, corrected for all tests of the table."""

    value: float | None
    ends: Sequence[float] | None = None
    n: int | None = None
    unparsed: int | None = None
    marked: bool = False
    best: bool = False
    p: float | None = None
    on_parsed: float | None = None  # Pearson's r of the parsed rows
    supported: float | None = None  # macro F1 over the classes that occur in gold


@dataclass(frozen=True)
class BoardRow:
    """One model of a table: a run, or a model's published scores."""

    name: str
    about: str
    accepts: tuple[str, ...]
    published: bool
    cells: list[BoardCell | None]


@dataclass(frozen=True)
class BoardView:
    """One table in one mode. Columns without a score of any run are left out. tests: their number in all columns."""

    mode: str
    table: BoardTable
    rows: list[BoardRow]
    tests: int


UnitKey = tuple[str, str, str | None]  # subset, task key, language
Units = dict[UnitKey, ComparedRuns]


def board(entries: Sequence[BoardEntry], data: Dataset) -> list[BoardView]:
    """Every table in every mode in which a run has scores.

    Raises Fault for scores that do not come from the run's answers, wrong files of answers and subsets that DATA lacks.
    """
    names = [name for name in benchmark() if any(name in one.subsets for one in entries)]
    if lacking := [name for name in names if name not in data.subsets("test")]:
        raise Fault(f"{data.path}: no test records of {', '.join(lacking)}. Use the data of the runs.")
    drawn: dict[UnitKey, Future[ComparedRuns]] = {}
    # One thread draws permutations while the other parses: numpy releases Python's global lock.
    with progress("leaderboard", len(names)) as advance, ThreadPoolExecutor(1) as beside:
        for name in names:
            for rows in rows_of_runs(name, entries, data):
                languages = benchmark()[name].languages
                parts = [rows.in_language(one) for one in languages if len(languages) > 1 and one in rows.languages]
                for part in (rows, *parts):
                    drawn[name, rows.task.key, part.language] = beside.submit(ComparedRuns, part)
            advance(1)
        units = {key: one.result() for key, one in drawn.items()}
    _require_of_these_answers(entries, units)
    return [view for mode in MODES for view in _views(entries, units, mode)]


def _require_of_these_answers(entries: Sequence[BoardEntry], units: Units) -> None:
    """Raises Fault when a run's scores differ from those of its answers: the tests would concern other answers."""
    for entry in entries:
        for mode in entry.run.scores:
            for (subset, key, language), unit in units.items():
                column = Column("", "", benchmark()[subset].task(key).main_metric, unit.rows.task, language)
                if (scored := column.scored(entry.run, mode)) is None or entry.name not in unit.rows.asked:
                    continue
                told = scored["metrics"].get(column.metric)
                found = unit.value(entry.name, mode, column.metric)
                if (told is None) != bool(np.isnan(found)) or (told is not None and abs(told - found) > NEAR):
                    raise Fault(
                        f"{entry.run.folder}: scores.{mode}.json does not come from these answers and this data "
                        f"({column.key}). Score again: mmaffben score {entry.run.folder} --mode {mode}"
                    )


def _views(entries: Sequence[BoardEntry], units: Units, mode: str) -> Iterator[BoardView]:
    scored = [one for one in entries if mode in one.run.scores]
    if not scored:
        return
    means = _means(scored, mode)
    for table in board_tables():
        found = {column: _cells(column, scored, units, means, mode) for column in table.columns}
        kept = tuple(column for column, (of, _) in found.items() if any(of.values()))
        if not kept:
            continue
        ranked, tests = corrected([found[column][1] for column in kept])
        cells = {column: _marked(found[column][0], one) for column, one in zip(kept, ranked, strict=True)}
        rows = [
            BoardRow(one.name, one.about, one.accepts, False, [cells[column].get(one.name) for column in kept])
            for one in scored
        ]
        rows = [row for row in rows if any(row.cells)]  # a model that does not accept video has no row for video tasks
        published = _published(kept) if mode == "paper" else []
        order = sorted([*rows, *published], key=lambda row: (len(row.accepts), _places(row.accepts), row.published))
        yield BoardView(mode, BoardTable(table.key, table.title, kept), order, tests)


def _places(accepts: Sequence[str]) -> list[int]:
    return [MODALITIES.index(one) for one in accepts]


def _means(entries: Sequence[BoardEntry], mode: str) -> dict[tuple[str, str, str], dict[str, RunAverage]]:
    """{(over, group, metric): {run: its mean}}.

    A mean over a modality has the same tasks for all runs; a mean over languages is computed for each run alone.
    """
    found: dict[tuple[str, str, str], dict[str, RunAverage]] = {}
    for one in averages([entry.run for entry in entries], mode):
        if one.over == "modality":
            for entry, cell in zip(entries, one.cells, strict=True):
                found.setdefault((one.over, one.group, one.metric), {})[entry.name] = one._replace(cells=[cell])
    for entry in entries:
        for one in averages([entry.run], mode):
            if one.over == "languages":
                found.setdefault((one.over, one.group, one.metric), {})[entry.name] = one
    return found


def _cells(
    column: Column, entries: Sequence[BoardEntry], units: Units,
    means: Mapping[tuple[str, str, str], Mapping[str, RunAverage]], mode: str,
) -> tuple[dict[str, BoardCell], Ranked | None]:  # fmt: skip
    """{run: its cell} for the runs that have one, and their tests against the column's best run."""
    if column.over is not None:
        of = means.get((*column.over, column.metric), {})
        cells = {name: BoardCell(*one.cells[0][:4]) for name, one in of.items() if one.cells[0] is not None}
        cells = cells if of else _of_one_task(column, entries, units, mode)
        behind = _behind(column, units, [name for name, cell in cells.items() if cell.value is not None])
    else:
        told = {one.name: column.scored(one.run, mode) for one in entries}
        cells = {name: _cell(one, column.metric) for name, one in told.items() if one is not None}
        behind = []
    values = {name: cell.value for name, cell in cells.items() if cell.value is not None}

    def test(best: str, other: str) -> Judged | None:
        if column.over is not None:
            return _test_of_mean(behind, best, other, mode, column.metric)
        assert column.task is not None
        unit = units[column.task.subset, column.task.key, column.language]
        drawn = unit.difference(best, other, mode, column.metric)
        return None if drawn is None else judge(drawn, unit.shared(best, other))

    return cells, rank(values, test)


def _of_one_task(column: Column, entries: Sequence[BoardEntry], units: Units, mode: str) -> dict[str, BoardCell]:
    """The task's own cells for a mean over a single task, which averages() leaves out."""
    behind = _behind(column, units, ())
    if len(behind) != 1:
        return {}
    task = behind[0].rows.task
    told = {one.name: one.run.scored(task.subset, task.key, mode) for one in entries}
    return {name: _cell(one, column.metric) for name, one in told.items() if one is not None}


def _cell(scored: Mapping[str, Any], metric: str) -> BoardCell:
    return BoardCell(*figure(scored, metric), on_parsed=on_parsed(scored, metric), supported=supported(scored, metric))


def _marked(cells: dict[str, BoardCell], ranked: Ranked | None) -> dict[str, BoardCell]:
    if ranked is None:
        return cells
    return {
        name: cell._replace(marked=name in ranked.marked, best=name == ranked.best, p=ranked.p.get(name))
        for name, cell in cells.items()
    }


def _behind(column: Column, units: Units, names: Sequence[str]) -> list[ComparedRuns]:
    """The units of a column's mean: those with the column's group and metric in which all these runs have answers."""
    assert column.over is not None
    over, group = column.over

    def belongs(task: Task, language: str | None) -> bool:
        if over == "modality":
            return language is None and task.modality == group
        return language is not None and task.name == group

    return [
        unit
        for unit in units.values()
        if unit.rows.task.main_metric == column.metric
        and belongs(unit.rows.task, unit.rows.language)
        and all(name in unit.rows.asked for name in names)
    ]


def _test_of_mean(behind: Sequence[ComparedRuns], best: str, other: str, mode: str, metric: str) -> Judged | None:
    parts = []
    for unit in behind:
        if (drawn := unit.difference(best, other, mode, metric)) is None:
            return None
        spoken = benchmark()[unit.rows.task.subset].languages or ("en",)
        languages = (unit.rows.language,) if unit.rows.language else spoken
        rows = unit.shared(best, other)
        parts.append(Unit(unit.rows.task, unit.rows.language, languages, metric, rows, 0.0, float(drawn[0]), drawn))
    return judge_mean(parts) if parts else None


def _published(columns: Sequence[Column]) -> list[BoardRow]:
    """Rows with the paper's scores for a table by language; [] for other tables."""
    first = columns[-1]
    if first.task is None or first.language is None:
        return []
    theirs = {one: paper_scores().get((first.task.subset, one), {}) for one in benchmark()[first.task.subset].languages}
    rows = []
    for model in paper_models():
        figures = {language: of[model.name] for language, of in theirs.items() if model.name in of}
        if not figures:
            continue
        whole = sum(figures.values()) / len(figures) if len(figures) == len(theirs) else None
        values = [figures.get(one.language) if one.language else whole for one in columns]
        cells = [None if value is None else BoardCell(value) for value in values]
        rows.append(BoardRow(model.name, "published", model.accepts, True, cells))
    return rows
