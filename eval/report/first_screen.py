"""The report's first screen: the size of the evaluation, a card for each modality, and one chart of all tasks."""

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from eval.report import svg
from eval.report.averages import RunAverage, modality_means
from eval.report.load import Run
from eval.report.names import METRICS
from eval.report.tables import KINDS, Cell, HeadlineRow, interval, number, tasks_of
from eval.score.baselines import Baseline, strongest
from mmafflm.benchmark.benchmark import benchmark

_MODALITIES = ("text", "image", "video")


class CardScore(NamedTuple):
    """One metric of a card: each run's mean over the metric's tasks, and the mean of the tasks' strongest baselines.

    plot: both, drawn on one axis.
    """

    metric: str
    tasks: list[str]
    cells: list[Cell | None]
    baseline: float | None
    plot: Markup


class ModalityCard(NamedTuple):
    """One modality: its mean macro F1 over tasks with labels, and its mean Pearson's r over tasks with numbers.

    scores: [] when no run has scores of the modality. missing: the benchmark's subsets that the means lack.
    """

    modality: str
    scores: list[CardScore]
    missing: list[str]


class TaskLane(NamedTuple):
    """One task of the chart, with its drawn lane."""

    row: HeadlineRow
    plot: Markup


class TaskPanel(NamedTuple):
    """The tasks that share a metric, sorted by the first run's score (highest first), with their common axis."""

    metric: str
    axis: Markup
    lanes: list[TaskLane]
    rows: int


def evaluated(runs: Sequence[Run]) -> dict[str, int]:
    """The numbers of subsets, tasks, rows and languages on the page. The rows are those of the run with the most."""
    asked = list(tasks_of(runs, "strict"))
    rows = [sum(int(one["n"]) for one in run.scores["strict"]["subsets"].values()) for run in runs]
    spoken = {
        language
        for run in runs
        for name, one in run.scores["strict"]["subsets"].items()
        for language in one.get("by_language") or benchmark()[name].languages
    }
    return {
        "subsets": len({subset for subset, _ in asked}),
        "tasks": len(asked),
        "rows": max(rows),
        "languages": len(spoken),
    }


def cards(runs: Sequence[Run]) -> list[ModalityCard]:
    """A card for each modality, even if no run has scores of it."""
    means = modality_means(runs)
    found = []
    for modality in _MODALITIES:
        own = [one for one in means if one.group == modality]
        missing = sorted({name for one in own for name in one.missing})
        found.append(ModalityCard(modality, [_score(one, runs) for one in own], missing))
    return found


def _score(mean: RunAverage, runs: Sequence[Run]) -> CardScore:
    baselines = []
    for subset, task in tasks_of(runs, "strict"):
        if (task.modality, task.main_metric) == (mean.group, mean.metric):
            scored = next(one for run in runs if (one := run.scored(subset, task.key)))
            baselines.append(strongest(task, scored))
    known = [one.value for one in baselines if one is not None]
    baseline = sum(known) / len(known) if len(known) == len(baselines) else None
    title = f"{mean.group}, mean {METRICS[mean.metric]} of {len(mean.of)} tasks"
    plot = _plot(mean.cells, baseline, runs, _domain([mean.cells], [baseline]), title)
    return CardScore(mean.metric, mean.of, mean.cells, baseline, plot)


def chart(rows: Sequence[HeadlineRow], runs: Sequence[Run]) -> list[TaskPanel]:
    """All tasks: a panel for each metric, because macro F1 and Pearson's r have no common scale; best tasks first."""
    found = []
    for metric in sorted({row.metric for row in rows}):
        own = sorted((row for row in rows if row.metric == metric), key=_best_first)
        domain = _domain([row.cells for row in own], [_value(row.baseline) for row in own])
        lanes = [
            TaskLane(row, _plot(row.cells, _value(row.baseline), runs, domain, f"{said}, n {row.rows}", row.humans))
            for row in own
            for said in [f"{row.task.name}, {METRICS[metric]}"]
        ]
        counted = sum(next((cell.n for cell in row.cells if cell and cell.n), 0) for row in own)
        found.append(TaskPanel(metric, svg.axis(domain, f"Axis: {METRICS[metric]}"), lanes, counted))
    return found


def task_words(runs: Sequence[Run]) -> list[tuple[str, list[str]]]:
    """What the task keys on the page mean: (kind of task in words, the keys of this kind)."""
    found: dict[str, list[str]] = {}
    for _, task in tasks_of(runs, "strict"):
        keys = found.setdefault(KINDS[task.kind], [])
        if task.key not in keys:
            keys.append(task.key)
    return list(found.items())


def _best_first(row: HeadlineRow) -> tuple[bool, float, str]:
    """Sort key: the score of the first run that has one, highest first. Tasks without a score come last."""
    value = next((cell.value for cell in row.cells if cell and cell.value is not None), None)
    return value is None, -(value or 0.0), row.task.name


def _domain(cells: Sequence[Sequence[Cell | None]], baselines: Sequence[float | None]) -> tuple[float, float]:
    """The ends of the axis: 0 to 1. If a value or interval end is below -0.02, it begins at a multiple of -0.2."""
    ends = [end for row in cells for cell in row if cell for end in (cell.value, *(cell.ends or ()))]
    low = min((end for end in [*ends, *baselines] if end is not None), default=0.0)
    return (next(at for at in (-0.2, -0.4, -0.6, -0.8, -1.0) if low >= at or at == -1.0) if low < -0.02 else 0.0), 1.0


def _plot(
    cells: Sequence[Cell | None],
    baseline: float | None,
    runs: Sequence[Run],
    domain: tuple[float, float],
    title: str,
    humans: float | None = None,
) -> Markup:
    found = [
        svg.Estimate(at, run.name, cell.value, cell.ends)
        for at, (run, cell) in enumerate(zip(runs, cells, strict=True))
        if cell
    ]
    said = "; ".join(f"{one.name} {number(one.value)}{interval(one.ends)}" for one in found)
    said += f"; strongest baseline {number(baseline)}"
    said += f"; human agreement {number(humans)}" if humans is not None else ""
    return svg.lane(found, baseline, domain, f"{title}: {said}", humans)


def _value(baseline: Baseline | None) -> float | None:
    return None if baseline is None else baseline.value
