"""`mmafflm list`: the names that commands accept: subsets, tasks, languages, recipes and experiments."""

from collections.abc import Iterator
from enum import StrEnum

from mmafflm.benchmark.benchmark import benchmark
from mmafflm.train.plan.shipped import EXPERIMENTS, RECIPES, shipped


class Listable(StrEnum):
    """What can be listed."""

    subsets = "subsets"
    tasks = "tasks"
    languages = "languages"
    recipes = "recipes"
    experiments = "experiments"


def listing(kind: Listable) -> list[str]:
    """A table as lines of aligned columns, never cut; the first line has the names of the columns."""
    rows = list(_TABLES[kind]())
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]) - 1)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]) for row in rows
    ]


def _subsets() -> Iterator[tuple[str, ...]]:
    yield "subset", "corpus", "modality", "tasks", "test rows", "languages"
    for name, one in benchmark().items():
        tasks = ",".join(task.key for task in one.tasks)
        yield name, one.corpus, one.modality, tasks, f"{one.test_rows:,}", ",".join(one.languages) or "-"


def _tasks() -> Iterator[tuple[str, ...]]:
    yield "task", "what the model predicts", "main metric", "subsets"
    keys = {task.key: (task.kind, task.main_metric) for one in benchmark().values() for task in one.tasks}
    for key, (kind, metric) in keys.items():
        subsets = (name for name, one in benchmark().items() if any(task.key == key for task in one.tasks))
        yield key, kind.replace("_", " "), metric, ",".join(subsets)


def _languages() -> Iterator[tuple[str, ...]]:
    yield "language", "subsets"
    for code in sorted({code for one in benchmark().values() for code in one.languages}):
        yield code, ",".join(name for name, one in benchmark().items() if code in one.languages)


def _recipes() -> Iterator[tuple[str, ...]]:
    yield "recipe", "what it does"
    yield from shipped(RECIPES)


def _experiments() -> Iterator[tuple[str, ...]]:
    yield "experiment", "question"
    yield from shipped(EXPERIMENTS)


_TABLES = {
    Listable.subsets: _subsets,
    Listable.tasks: _tasks,
    Listable.languages: _languages,
    Listable.recipes: _recipes,
    Listable.experiments: _experiments,
}
