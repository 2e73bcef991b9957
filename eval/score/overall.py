"""The mean of a run's task scores in each modality, with an interval computed from the tasks' intervals."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from eval.score.aggregate import on_the_same_rows, parted
from eval.score.figure import Figure
from eval.score.intervals import mean_ends
from mmafflm.benchmark.benchmark import Task, benchmark


@dataclass(frozen=True)
class _Scored:
    """A task with the value of its main metric, in the form that `parted` groups."""

    task: Task
    figure: Figure
    language: str | None = None

    @property
    def languages(self) -> tuple[str, ...]:
        return benchmark()[self.task.subset].languages or ("en",)

    @property
    def metric(self) -> str:
        return self.task.main_metric


class Overall(NamedTuple):
    """The mean of one main metric over the tasks of a modality. `figure.value` is None when any task has no value."""

    modality: str
    metric: str
    tasks: int
    figure: Figure


def overall(scored: Iterable[tuple[Task, Figure]]) -> Iterator[Overall]:
    """Yield a mean for each modality and main metric. Label tasks and numeric tasks are never averaged together."""
    for part in parted([_Scored(task, figure) for task, figure in scored]):
        if part.over == "modality":
            yield Overall(part.group, part.metric, len(part.units), _mean(part.units))


def _mean(units: Sequence[_Scored]) -> Figure:
    """The mean and its 95% interval.

    Tasks of different corpora count as independent. For tasks on the same rows, the widths of the intervals add up.
    """
    n, unparsed = sum(one.figure.n for one in units), sum(one.figure.unparsed for one in units)
    values = [one.figure.value for one in units if one.figure.value is not None]
    if len(values) < len(units):
        return Figure(None, None, n, unparsed)
    groups = [[(one.figure.value, one.figure.ends) for one in group] for group in on_the_same_rows(units)]
    return Figure(sum(values) / len(values), mean_ends(units[0].metric, groups), n, unparsed)
