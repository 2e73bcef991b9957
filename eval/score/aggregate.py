"""Means over tasks, modalities and languages, as in the paper, and a macro average that refuses missing languages.

Different metrics are never averaged together: macro F1 of labels and Pearson's r of numbers stay apart. The interval
and the p-value of a mean come from the permutations of its units (eval/score/permutation.py). Units of different
corpora or languages are treated as independent. Tasks on the same clips, pictures or tweets (MELD_EC and MELD_SP) are
dependent, but we do not know how strongly. We assume the worst: the largest difference of one is added to the largest
of the other. No other dependence gives a wider interval.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from eval.score.bootstrap import SEED
from eval.score.metrics import Floats, number
from eval.score.permutation import Judged, judge
from mmafflm.benchmark.benchmark import Task, benchmark
from mmafflm.errors import Fault


class Placed(Protocol):
    """A score of one task or one of its languages: the properties that decide with which scores it is averaged."""

    @property
    def task(self) -> Task:
        """The task."""

    @property
    def language(self) -> str | None:
        """The language that the score covers; None for the whole task."""

    @property
    def languages(self) -> tuple[str, ...]:
        """All languages of the score's rows."""

    @property
    def metric(self) -> str:
        """The main metric."""


PlacedT = TypeVar("PlacedT", bound=Placed)


@dataclass(frozen=True)
class MeanPart(Generic[PlacedT]):
    """Units that are averaged together. missing: subsets of the benchmark that belong to this mean but have no unit."""

    over: str  # subset | task | modality | language
    group: str
    metric: str
    units: list[PlacedT]
    missing: list[str]


@dataclass(frozen=True)
class Unit:
    """Two runs' scores on one task or one of its languages: a and b are the main metrics of the runs.

    drawn [1 + permutations]: b - a without swaps, then after the swaps of each permutation.
    """

    task: Task
    language: str | None  # None when the unit is a whole task
    languages: tuple[str, ...]  # all languages of the unit's rows
    metric: str
    n: int
    a: float
    b: float
    drawn: Floats
    unparsed: tuple[int, int] = (0, 0)  # the number of unparsed answers of each run

    @property
    def name(self) -> str:
        """The unit's name, from name_of()."""
        return name_of(self)


def name_of(unit: Placed) -> str:
    """Subset, task (if the subset has several tasks) and language (if the unit is not a whole task), as one text."""
    return " ".join(filter(None, (unit.task.name, unit.language)))


def mean(units: Sequence[Unit]) -> dict[str, Any]:
    """The means of the units' scores, and the mean of b - a with its interval and p."""
    rows = sum(unit.n for unit in units)
    a, b = float(np.mean([unit.a for unit in units])), float(np.mean([unit.b for unit in units]))
    return {
        "metric": units[0].metric, "a": number(a), "b": number(b), **judge_mean(units)._asdict(), "p_holm": None,
        "of": [unit.name for unit in units], "n": rows,
        "unparsed": {side: sum(unit.unparsed[at] for unit in units) for at, side in enumerate("ab")},
    }  # fmt: skip


def judge_mean(units: Sequence[Unit]) -> Judged:
    """The mean of b - a over the units, and its test. The number of rows is the sum over the units."""
    total = np.zeros_like(units[0].drawn)
    for at, together in enumerate(on_the_same_rows(units)):
        total[0] += sum(unit.drawn[0] for unit in together)
        worst_with_worst: Floats = np.sum([np.sort(unit.drawn[1:]) for unit in together], axis=0)
        alone = len(together) == 1
        total[1:] += together[0].drawn[1:] if alone else np.random.default_rng(SEED + at).permutation(worst_with_worst)
    return judge(total / len(units), sum(unit.n for unit in units))


def on_the_same_rows(units: Sequence[PlacedT]) -> list[list[PlacedT]]:
    """Group the units that may share rows: those of one corpus in the same languages."""
    found: dict[tuple[str, tuple[str, ...]], list[PlacedT]] = {}
    for unit in units:
        found.setdefault((benchmark()[unit.task.subset].corpus, unit.languages), []).append(unit)
    return list(found.values())


def aggregates(units: Sequence[Unit]) -> list[dict[str, Any]]:
    """The means per subset (if it has several tasks), task, modality and language, separately for each metric.

    "missing" lists the subsets of the benchmark that belong to the mean and were not compared.
    """
    return [
        {"over": part.over, "group": part.group, **mean(part.units), "missing": part.missing} for part in parted(units)
    ]


def parted(units: Sequence[PlacedT]) -> Iterator["MeanPart[PlacedT]"]:
    """The groups to average: per subset (if it has several tasks), task, modality and language, each for one metric."""
    whole = [unit for unit in units if unit.language is None]
    single = [unit for unit in units if len(unit.languages) == 1]  # a language of a task, or a task of one language
    yield from _grouped("subset", [unit for unit in whole if len(benchmark()[unit.task.subset].tasks) > 1],
                        lambda unit: unit.task.subset)  # fmt: skip
    yield from _grouped("task", whole, lambda unit: unit.task.kind)
    yield from _grouped("modality", whole, lambda unit: unit.task.modality)
    yield from _grouped("language", single, lambda unit: unit.languages[0])


def _grouped(over: str, units: Iterable[PlacedT], key: Callable[[PlacedT], str]) -> Iterator["MeanPart[PlacedT]"]:
    grouped: dict[tuple[str, str], list[PlacedT]] = {}
    for unit in units:
        grouped.setdefault((key(unit), unit.metric), []).append(unit)
    for (group, metric), chosen in sorted(grouped.items()):
        yield MeanPart(over, group, metric, chosen, _missing(over, group, metric, chosen))


def _missing(over: str, group: str, metric: str, units: Sequence[Placed]) -> list[str]:
    """The subsets of the benchmark that belong to the mean but have no unit in it."""
    here = {unit.task.subset for unit in units}
    belongs: dict[str, Callable[[Task], bool]] = {
        "subset": lambda task: task.subset == group,
        "task": lambda task: task.kind == group,
        "modality": lambda task: task.modality == group,
        "language": lambda task: group in benchmark()[task.subset].languages,
    }
    return [
        name
        for name, subset in benchmark().items()
        if name not in here and any(task.main_metric == metric and belongs[over](task) for task in subset.tasks)
    ]


def require_languages(subset: str, found: Iterable[str]) -> None:
    """Raises Fault when scores of a subset lack a language of the benchmark. found: the languages with scores."""
    if lacking := sorted(set(benchmark()[subset].languages) - set(found)):
        raise Fault(
            f"{subset}: no macro average over languages, because {', '.join(lacking)} "
            f"{'is' if len(lacking) == 1 else 'are'} missing. Predict all of its test records (or a larger --limit)."
        )


def macro_over_languages(units: Sequence[Unit]) -> dict[str, dict[str, Any]]:
    """{task: both runs' macro average over its languages, or {"refused": why}}, for tasks in several languages."""
    found: dict[str, dict[str, Any]] = {}
    for whole in (unit for unit in units if unit.language is None):
        subset = benchmark()[whole.task.subset]
        if len(subset.languages) < 2:
            continue
        parts = [unit for unit in units if unit.task == whole.task and unit.language is not None]
        try:
            require_languages(subset.name, (unit.languages[0] for unit in parts or [whole]))
            found[whole.name] = mean(parts)
        except Fault as fault:
            found[whole.name] = {"refused": str(fault)}
    return found
