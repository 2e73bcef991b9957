"""Means of scores as in the paper, by subset, task, modality and language.

A mean over the languages of a subset is refused if the run lacks the score of a language.

The interval of a mean assumes that its tasks are independent (eval/score/intervals.py). For tasks on the same rows
(MELD_EC and MELD_SP) the widths are added in full, as if their errors were fully correlated. eval/score/aggregate.py
uses resamples, but a report has only the scores and their intervals.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from eval.report.load import Run
from eval.report.tables import Cell, cell, pooled, tasks_of
from eval.score.aggregate import MeanPart, name_of, on_the_same_rows, parted, require_languages
from eval.score.intervals import mean_ends
from mmafflm.benchmark.benchmark import Task, benchmark
from mmafflm.errors import Fault


@dataclass(frozen=True)
class RunScores:
    """All runs' scores on one task or one of its languages. A run without this score has the cell None."""

    task: Task
    language: str | None
    languages: tuple[str, ...]
    metric: str
    cells: list[Cell | None]


class RunAverage(NamedTuple):
    """One mean for each run.

    over and group: what the mean is taken over. of: the names of the averaged scores. missing: subsets of the benchmark
    that belong to the mean and have no score. refused: why there is no mean, or "".
    """

    over: str
    group: str
    metric: str
    cells: list[Cell | None]
    of: list[str]
    missing: list[str]
    refused: str = ""

    def to_json(self) -> dict[str, Any]:
        """The mean's object in results.json. Its cells are in the order of the runs and have no names."""
        cells = [
            None if one is None else {"value": one.value, "ci95": one.ends, "n": one.n, "unparsed": one.unparsed}
            for one in self.cells
        ]
        return self._asdict() | {"cells": cells}


def averages(runs: Sequence[Run], mode: str) -> list[RunAverage]:
    """Every mean over the scores that any run has. A run that lacks one of the scores has the cell None."""
    scores = [one for subset, task in tasks_of(runs, mode) for one in _scores(subset, task, runs, mode)]
    found = [_average(part, len(runs)) for part in parted(scores) if len(part.units) > 1]
    return [*found, *_over_languages(scores, len(runs))]


def modality_means(runs: Sequence[Run]) -> list[RunAverage]:
    """The strict means over each modality's tasks, one for each metric, even if only one task has the metric."""
    scores = [one for subset, task in tasks_of(runs, "strict") for one in _scores(subset, task, runs, "strict")]
    return [_average(part, len(runs)) for part in parted(scores) if part.over == "modality"]


def _average(part: MeanPart[RunScores], runs: int) -> RunAverage:
    named = list(map(name_of, part.units))
    return RunAverage(part.over, part.group, part.metric, _means(part.units, runs), named, part.missing)


def _scores(subset: str, task: Task, runs: Sequence[Run], mode: str) -> Iterator[RunScores]:
    """The scores of the whole task, then those of each of its languages."""
    of = [run.scored(subset, task.key, mode) for run in runs]
    metric = task.main_metric
    spoken = benchmark()[subset].languages or ("en",)
    yield RunScores(task, None, spoken, metric, [_cell(one, metric) for one in of])
    for language in sorted({name for one in of if one for name in one.get("by_language", ())}):
        parts = [one.get("by_language", {}).get(language) if one else None for one in of]
        yield RunScores(task, language, (language,), metric, [_cell(one, metric) for one in parts])


def _cell(scored: Mapping[str, Any] | None, metric: str) -> Cell | None:
    found = None if scored is None else cell(scored, metric)
    return None if found is None or found.value is None else found


def _means(scores: Sequence[RunScores], runs: int) -> list[Cell | None]:
    together = on_the_same_rows(scores)
    return [_mean(scores[0].metric, [[one.cells[at] for one in group] for group in together]) for at in range(runs)]


def _mean(metric: str, groups: Sequence[Sequence[Cell | None]]) -> Cell | None:
    every = [one for group in groups for one in group]
    cells = [one for one in every if one is not None and one.value is not None]
    if len(cells) < len(every):
        return None
    if len(cells) == 1:
        return cells[0]
    ends = mean_ends(metric, [[(one.value, one.ends) for one in group if one] for group in groups])
    return pooled(cells)._replace(ends=ends)


def _over_languages(scores: Sequence[RunScores], runs: int) -> Iterator[RunAverage]:
    """The macro average over the languages of each subset that has several, or the reason for refusing it."""
    for whole in (one for one in scores if one.language is None and len(benchmark()[one.task.subset].languages) > 1):
        parts = [one for one in scores if one.task == whole.task and one.language is not None]
        told = ("languages", name_of(whole), whole.metric)
        try:
            for at in range(runs):
                if whole.cells[at] is not None:
                    require_languages(whole.task.subset, [str(one.language) for one in parts if one.cells[at]])
            yield RunAverage(*told, _means(parts, runs), [str(one.language) for one in parts], [])
        except Fault as fault:
            yield RunAverage(*told, [None] * runs, [], [], str(fault))
