"""The report's tables as rows of values: all tasks (headline), languages, every metric of a task, and notes."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from eval.diagnosis.finding import MIN_ROWS
from eval.report.load import Run
from eval.score.baselines import Baseline, baselines_of, learned, strongest
from eval.score.figure import DASH, figure, on_parsed, rows_text
from eval.score.score_table import PUBLISHED
from mmafflm.benchmark.benchmark import Task, benchmark, paper_scores

MEAN = "mean of languages"
KINDS = {
    "emotion_intensity": "emotion intensity",
    "emotion_intensity_ordinal": "emotion intensity in classes",
    "emotion_classification": "emotions",
    "sentiment_polarity": "sentiment polarity",
    "sentiment_intensity": "sentiment intensity",
}


class Cell(NamedTuple):
    """A value with its interval and counts.

    shade: 0 to 10 in a heat map, None for fewer than MIN_ROWS rows. parsed: the main metric of a numeric task on the
    rows whose answers could be parsed.
    """

    value: float | None
    ends: Sequence[float] | None = None
    n: int | None = None
    unparsed: int | None = None
    shade: int | None = None
    parsed: float | None = None


@dataclass(frozen=True)
class HeadlineRow:
    """One row of the headline table: a task, with the cell (None if the run lacks the task) and readout of each run."""

    subset: str
    task: Task
    metric: str
    cells: list[Cell | None]
    rows: str  # the number of rows, from rows_text()
    baseline: Baseline | None  # the strongest baseline
    learned: float | None
    readouts: list[str]
    humans: float | None = None  # human agreement


@dataclass(frozen=True)
class HeatMap:
    """One subset with a row for each language: a cell for every run and, in paper mode, the paper's scores.

    readouts: the runs' readouts, from readouts_of().
    """

    subset: str
    metric: str
    heads: list[str]
    readouts: list[str]
    published: list[str]
    rows: list[tuple[str, list[Cell | None]]]


def tasks_of(runs: Sequence[Run], mode: str) -> Iterator[tuple[str, Task]]:
    """Every (subset, task) for which any run has scores in that mode, in the benchmark's order."""
    for name, subset in benchmark().items():
        for task in subset.tasks:
            if any(run.scored(name, task.key, mode) for run in runs):
                yield name, task


def readouts_of(subset: str, key: str, runs: Sequence[Run]) -> list[str]:
    """Each run's readout of a task; "" for every run when all runs on the page are greedy."""
    told = any(run.readout != "greedy" for run in runs)
    return [run.readout_of(subset, key) if told else "" for run in runs]


def headline(runs: Sequence[Run], mode: str) -> list[HeadlineRow]:
    """A row for each task, in the benchmark's order."""
    return [_line(name, task, runs, mode) for name, task in tasks_of(runs, mode)]


def _line(subset: str, task: Task, runs: Sequence[Run], mode: str) -> HeadlineRow:
    scored = [run.scored(subset, task.key, mode) for run in runs]
    some = next(one for one in scored if one)
    metric = task.main_metric
    cells = [cell(one, metric) if one else None for one in scored]
    baselines = strongest(task, some), learned(task, some)
    readouts, humans = readouts_of(subset, task.key, runs), some.get("humans", {}).get("metrics", {}).get(metric)
    return HeadlineRow(subset, task, metric, cells, rows_text(some), *baselines, readouts, humans)


def cell(scored: Mapping[str, Any], metric: str) -> Cell:
    """One score's value, interval and counts."""
    return Cell(*figure(scored, metric), parsed=on_parsed(scored, metric))


def number(value: float | None) -> str:
    """The value with three decimals; a dash if it is not defined."""
    return DASH if value is None or not math.isfinite(value) else f"{round(value, 3) + 0.0:.3f}"  # no -0.000


def interval(ends: Sequence[float] | None) -> str:
    """The two ends in brackets, after a space; "" for None."""
    return f" [{number(ends[0])}, {number(ends[1])}]" if ends else ""


def heat_maps(runs: Sequence[Run], mode: str) -> list[HeatMap]:
    """A heat map for each subset for which a run has scores by language."""
    names = [name for name in benchmark() if any("by_language" in _of(run, name, mode) for run in runs)]
    return [_heat_map(name, runs, mode) for name in names]


def _of(run: Run, subset: str, mode: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = run.scores.get(mode, {}).get("subsets", {}).get(subset, {})
    return found


def _heat_map(subset: str, runs: Sequence[Run], mode: str) -> HeatMap:
    scored = [_of(run, subset, mode) for run in runs]
    metric = benchmark()[subset].tasks[0].main_metric
    theirs = paper_scores() if mode == "paper" else {}
    published = list(PUBLISHED) if any(name == subset for name, _ in theirs) else []
    languages = sorted({language for one in scored for language in one.get("by_language", ())})
    rows: list[tuple[str, list[Cell | None]]] = [("all", [cell(one, metric) if one else None for one in scored])]
    for language in languages:
        found = [one.get("by_language", {}).get(language) for one in scored]
        cells: list[Cell | None] = [cell(one, metric) if one else None for one in found]
        figures = theirs.get((subset, language), {})
        rows.append((language, cells + [Cell(figures.get(model)) for model in published]))
    if published:
        rows.insert(1, (MEAN, _means(benchmark()[subset].languages, rows[1:], len(runs) + len(published))))
    shaded = [(language, [_shaded(one) for one in cells]) for language, cells in rows]
    shaded[0] = ("all", shaded[0][1] + [None] * len(published))
    heads, read = [run.name for run in runs], readouts_of(subset, benchmark()[subset].tasks[0].key, runs)
    return HeatMap(subset, metric, heads, read, published, shaded)


def _means(languages: Sequence[str], rows: Sequence[tuple[str, list[Cell | None]]], columns: int) -> list[Cell | None]:
    """Each column's mean over the languages, to compare with the paper's. None if the column lacks a language."""
    found = [[cells[at] for _, cells in rows] for at in range(columns)]
    shown = [[one for one in column if one and one.value is not None] for column in found]
    return [pooled(of) if of and len(of) == len(languages) else None for of in shown]


def pooled(cells: Sequence[Cell]) -> Cell:
    """The mean of scores, each of which must have a value, and the sums of their rows and unparsed answers.

    The sums are None if a score has no number of rows, as published scores.
    """
    values = [one.value for one in cells if one.value is not None]
    rows = [(one.n, one.unparsed) for one in cells if one.n is not None and one.unparsed is not None]
    n, unparsed = (sum(of) for of in zip(*rows, strict=True)) if len(rows) == len(cells) else (None, None)
    return Cell(sum(values) / len(values), None, n, unparsed)


def _shaded(one: Cell | None) -> Cell | None:
    """The cell with its shade on the scale from 0 to 1 of all heat maps. A score of few rows gets no shade."""
    if one is None or one.value is None or (one.n is not None and one.n < MIN_ROWS):
        return one
    return one._replace(shade=round(min(max(one.value, 0.0), 1.0) * 10))


MetricRow = tuple[str, dict[str, float | None], list[Cell | None]]


def metrics_of(subset: str, task: Task, runs: Sequence[Run]) -> list[MetricRow]:
    """[(metric, {baseline: its value}, a cell for every run)] for all strict metrics of a task."""
    scored = [run.scored(subset, task.key) for run in runs]
    names = list(dict.fromkeys(name for one in scored if one for name in one["metrics"]))
    some = next(one for one in scored if one)
    return [
        (
            name,
            {of: values.get(name) for of, values in baselines_of(some).items()},
            [cell(one, name) if one else None for one in scored],
        )
        for name in names
    ] + _parsed_row(task, scored)


def _parsed_row(task: Task, scored: Sequence[Mapping[str, Any] | None]) -> list[MetricRow]:
    """The main metric of a numeric task on the parsed rows. [] for labels and for scores of an older version."""
    metric = task.main_metric
    if not any(one and "parsed" in one for one in scored):
        return []
    parsed = [one["parsed"] if one and "parsed" in one else None for one in scored]
    cells = [Cell(one["metrics"][metric], one["ci95"][metric], one["n"], 0) if one else None for one in parsed]
    return [(f"{metric}, parsed rows only", {}, cells)]


def notes_of(runs: Sequence[Run]) -> list[str]:
    """The notes in the strict scores of all runs."""
    found = []
    for subset, task in tasks_of(runs, "strict"):
        for run in runs:
            said = (run.scored(subset, task.key) or {}).get("notes", ())
            found += [f"{subset} {task.key}, {run.name}: {note}" for note in said]
    return found


def flat(row: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """The values of a nested JSON object as (dotted name, text)."""
    for name, value in row.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{before}{name}.")
        else:
            yield before + name, value if isinstance(value, str) else str(value)
