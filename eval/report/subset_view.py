"""One subset of the report: its tasks' metrics, charts, classes and example rows, ready for the template."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from markupsafe import Markup

from eval.diagnosis.finding import MIN_ROWS
from eval.report import svg
from eval.report.examples import ExampleView, choose
from eval.report.load import Run
from eval.report.reliability import coverage, reliability
from eval.report.tables import Cell, MetricRow, cell, interval, metrics_of, number, readouts_of
from eval.report.tally import PLACES, tally
from eval.score.answered import Answered
from eval.score.figure import DASH, unparsed_text
from mmafflm.benchmark.benchmark import Task, benchmark
from mmafflm.media.thumbnails import Thumbnails


class ReportFigure(NamedTuple):
    """A chart with its title, unit, number of rows, and a caption that explains it.

    wide: the chart may be wider than a phone's screen ("scroll") or than half a page ("whole").
    """

    svg: Markup
    title: str
    unit: str
    n: str
    caption: str = ""
    wide: str = ""


@dataclass(frozen=True)
class TaskView:
    """One task of a subset. readouts: the runs' readouts, from readouts_of()."""

    task: Task
    readouts: list[str]
    metrics: list[MetricRow]
    figures: list[ReportFigure]
    classes: list[tuple[int, list[tuple[Any, ...]]]]  # (position of the run, its classes)
    examples: list[ExampleView]


@dataclass(frozen=True)
class SubsetView:
    """One subset. summary: its main scores in one line."""

    name: str
    modality: str
    summary: str
    tasks: list[TaskView]


class SubsetDrawings(NamedTuple):
    """view: for the template. tallies: {task key: {run name: tally}}, and examples: shown rows, for results.json."""

    view: SubsetView
    tallies: dict[str, dict[str, Any]]
    examples: dict[str, list[dict[str, str]]]


def subset_view(
    name: str, answered: Mapping[str, Mapping[str, Answered]], runs: Sequence[Run], thumbnails: Thumbnails
) -> SubsetDrawings:
    """Count the answers, draw the charts and choose the rows of one subset.

    answered: {task key: {run name: answers}}.
    """
    subset = benchmark()[name]
    tasks, tallies = [], {}
    for key, by_run in answered.items():
        task = subset.task(key)
        tallies[key] = {run: tally(task, of.read) for run, of in by_run.items()}
        examples = [replace(one, pictures=thumbnails.of(one.record)) for one in choose(task, by_run)]
        drawn = [_figures(task, tallies[key][run.name], run, at) for at, run in enumerate(runs) if run.name in by_run]
        counted = [(at, tallies[key].get(run.name, {})) for at, run in enumerate(runs)]
        classes = [(at, _classes(of)) for at, of in counted if "matrix" in of]
        side_by_side = [figure for figures in zip(*drawn, strict=True) for figure in figures]
        side_by_side += [figure for at, run in enumerate(runs) for figure in _calibrations(task, run, at)]
        read = readouts_of(name, key, runs)
        tasks.append(TaskView(task, read, metrics_of(name, task, runs), side_by_side, classes, examples))
    chosen = {part.task.key: [{"id": one.record.id, "why": one.why} for one in part.examples] for part in tasks}
    return SubsetDrawings(SubsetView(name, subset.modality, _summary(name, tasks, runs), tasks), tallies, chosen)


def _summary(name: str, tasks: Sequence[TaskView], runs: Sequence[Run]) -> str:
    said = []
    for part in tasks:
        scored = [run.scored(name, part.task.key) for run in runs]
        metric = part.task.main_metric
        values = " / ".join(_short(cell(one, metric)) if one else DASH for one in scored)
        said.append(f"{part.task.key + ' ' if len(tasks) > 1 else ''}{metric} {values}")
    return ", ".join(said)


def _short(one: Cell) -> str:
    """A value, followed by the share of unparsed answers if there are any."""
    doubt = f" (unparsed {unparsed_text(one.unparsed, one.n)})" if one.unparsed and one.n else ""
    return number(one.value) + doubt


def _figures(task: Task, counts: Mapping[str, Any], run: Run, at: int) -> list[ReportFigure]:
    """One run's charts of one task: a matrix, or two charts for every scale.

    at: the run's position, which determines its colour.
    """
    title = f"{task.subset} {task.key}, {run.name}"
    if "matrix" not in counts:
        scale = (counts["low"], counts["high"])
        return [
            figure
            for name, of in counts["dimensions"].items()
            for figure in _of_scale(f"{name}, {run.name}" if name else run.name, title, scale, of, at)
        ]
    several = " A row may have several labels." if counts["several"] else ""
    few = f" Gold classes of fewer than {MIN_ROWS} rows are grey." if min(counts["gold"]) < MIN_ROWS else ""
    rows = (run.scored(task.subset, task.key) or {}).get("n", 0)
    return [
        ReportFigure(
            svg.matrix(counts, f"{title}: answers by gold class"),
            f"{run.name}: gold classes (rows), answers (columns)",
            "percent of a gold class's rows",
            f"{rows:,}",
            f"Framed cells are right answers.{several}{few}",
            "whole" if len(counts["classes"]) > 13 else "scroll",
        )
    ]


def _calibrations(task: Task, run: Run, at: int) -> list[ReportFigure]:
    """The charts of a task that was answered from likelihoods: a reliability curve, or each dimension's coverage."""
    found = (run.scored(task.subset, task.key) or {}).get("calibration") or {}
    rows, title = f"{found.get('n', 0):,}", f"{task.subset} {task.key}, {run.name}"
    drawn = []
    if "ece" in found:
        said = f"ECE {number(found['ece'])}{interval(found['ci95']['ece'])}, by chance {number(found['ece_by_chance'])}"
        said += f"; Brier score {number(found['brier'])}{interval(found['ci95']['brier'])}."
        curve = reliability(found, f"{title}: how often the likeliest label is right at each confidence", at)
        drawn.append(
            ReportFigure(
                curve, f"{run.name}: share of right answers (vertical) at each confidence", "shares", rows, said
            )
        )
    for name, of in found.get("coverage", {}).items():
        said = f"Mean predicted standard deviation {number(of['spread'])}, root mean square error {number(of['rmse'])}."
        who = f"{name}, {run.name}" if name else run.name
        curve = coverage(of, f"{title}, {who}: how often gold lies in the central part of the prediction", at)
        drawn.append(
            ReportFigure(curve, f"{who}: share of gold (vertical) in each central interval", "shares", rows, said)
        )
    return drawn


def _of_scale(who: str, title: str, scale: tuple[float, float], of: Mapping[str, Any], at: int) -> list[ReportFigure]:
    drift = (
        f"answers have {number(of['spread_ratio'])} times the standard deviation of gold, the most frequent answer has "
        f"a share of {number(of['most_frequent_share'])}, and the distributions overlap by {number(of['overlap'])}"
    )
    unit, rows = f"points of the scale {scale[0]:g} to {scale[1]:g}", f"{of['n']:,}"
    against = svg.scatter(of, scale, PLACES, f"{title}, {who}: answer against gold, {of['n']} rows", at)
    distributions = svg.histogram(of, scale, f"{title}, {who}: distributions; {drift}", at)
    return [
        ReportFigure(against, f"{who}: answer against gold", unit, rows,
                     "The area of a dot grows with its number of rows. On the dashed line the answer equals gold."),
        ReportFigure(distributions, f"{who}: answers (bars), gold (line)", f"rows by {unit}", rows,
                     f"The {drift}."),
    ]  # fmt: skip


def _classes(counts: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    columns = ("classes", "gold", "answered", "precision", "recall", "f1")
    return list(zip(*(counts[column] for column in columns), strict=True))
