"""Means of the scores as the paper has them: per task, modality and language; and over languages, missing none.

A mean's interval takes those of its tasks for symmetric, and for independent unless they are of the same rows (MELD_EC
and MELD_SP), where the widths add up whole; see eval/score/aggregate.py, which has resamples: a report has scores only.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from eval.report.load import Run
from eval.report.tables import Cell, cell, pooled, tasks_of
from eval.score.aggregate import name_of, on_the_same_rows, parted, require_languages
from mmafflm.benchmark.benchmark import Task, benchmark
from mmafflm.errors import Fault


@dataclass(frozen=True)
class Scores:
    """All runs' scores of one task or of one language of it; None for a run that has none."""

    task: Task
    language: str | None
    languages: tuple[str, ...]
    metric: str
    cells: list[Cell | None]


class Average(NamedTuple):
    """One mean of each run: over what, of which scores, and which subsets of the benchmark it lacks."""

    over: str
    group: str
    metric: str
    cells: list[Cell | None]
    of: list[str]
    missing: list[str]
    refused: str = ""

    def to_json(self) -> dict[str, Any]:
        """The object in results.json, but for the runs' names."""
        cells = [
            None if one is None else {"value": one.value, "ci95": one.ends, "n": one.n, "unparsed": one.unparsed}
            for one in self.cells
        ]
        return self._asdict() | {"cells": cells}


def averages(runs: Sequence[Run], mode: str) -> list[Average]:
    """Every mean over what any run has. A run in which one of the scores is missing or withheld has no mean."""
    scores = [one for subset, task in tasks_of(runs, mode) for one in _scores(subset, task, runs, mode)]
    found = [
        Average(part.over, part.group, part.metric, _means(part.units, len(runs)), list(map(name_of, part.units)),
                part.missing)
        for part in parted(scores)
        if len(part.units) > 1
    ]  # fmt: skip
    return [*found, *_over_languages(scores, len(runs))]


def _scores(subset: str, task: Task, runs: Sequence[Run], mode: str) -> Iterator[Scores]:
    """The whole task, then each language of it."""
    of = [run.scored(subset, task.key, mode) for run in runs]
    metric = task.main_metric
    spoken = benchmark()[subset].languages or ("en",)
    yield Scores(task, None, spoken, metric, [_cell(one, metric) for one in of])
    for language in sorted({name for one in of if one for name in one.get("by_language", ())}):
        parts = [one.get("by_language", {}).get(language) if one else None for one in of]
        yield Scores(task, language, (language,), metric, [_cell(one, metric) for one in parts])


def _cell(scored: Mapping[str, Any] | None, metric: str) -> Cell | None:
    found = None if scored is None else cell(scored, metric)
    return None if found is None or found.value is None else found


def _means(scores: Sequence[Scores], runs: int) -> list[Cell | None]:
    together = on_the_same_rows(scores)
    return [_mean([[one.cells[at] for one in group] for group in together]) for at in range(runs)]


def _mean(groups: Sequence[Sequence[Cell | None]]) -> Cell | None:
    cells: list[Cell] = []
    halves = []
    for group in groups:
        halves.append(0.0)
        for one in group:
            if one is None or one.value is None:
                return None
            cells.append(one)
            halves[-1] += (one.ends[1] - one.ends[0]) / 2 if one.ends else math.nan
    found, half = pooled(cells), math.hypot(*halves) / len(cells)
    assert found.value is not None
    return found._replace(ends=(found.value - half, found.value + half) if math.isfinite(half) else None)


def _over_languages(scores: Sequence[Scores], runs: int) -> Iterator[Average]:
    """The macro average over the languages of each subset that has several, or why there is none."""
    for whole in (one for one in scores if one.language is None and len(benchmark()[one.task.subset].languages) > 1):
        parts = [one for one in scores if one.task == whole.task and one.language is not None]
        told = ("languages", name_of(whole), whole.metric)
        try:
            for at in range(runs):
                if whole.cells[at] is not None:
                    require_languages(whole.task.subset, [str(one.language) for one in parts if one.cells[at]])
            yield Average(*told, _means(parts, runs), [str(one.language) for one in parts], [])
        except Fault as fault:
            yield Average(*told, [None] * runs, [], [], str(fault))
