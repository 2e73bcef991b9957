"""The leaderboard's tables and their columns: the paper's columns, and means over tasks and languages."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eval.report.load import Run
from eval.report.names import is_jaccard, language_name
from mmafflm.benchmark.benchmark import Task, benchmark
from mmafflm.benchmark.grammar import Labels, Vad

MODALITIES = ("text", "image", "video")
SHORT = {"macro_f1": "Macro F1", "pearson": "r"}
OVERVIEW = "overview"


@dataclass(frozen=True)
class Column:
    """One score of every model: a metric on a task or on one of its languages, or a mean over tasks or languages."""

    top: str  # the heading above the column: the subset, or the modality of a mean over tasks
    head: str
    metric: str
    task: Task | None = None  # None for a mean
    language: str | None = None
    over: tuple[str, str] | None = None  # for a mean: the `over` and `group` of eval/report/averages.py
    hint: str = ""

    @property
    def key(self) -> str:
        """The column's name in leaderboard.json and in messages: subset and task (or what the mean is over), language
        and metric."""
        parts = self.over or (self.task.subset if self.task else "", self.task.key if self.task else "")
        return " ".join(filter(None, (*parts, self.language or "", self.metric)))

    def scored(self, run: Run, mode: str) -> Mapping[str, Any] | None:
        """The run's entry in scores.MODE.json, or None. Only for columns that are not means."""
        assert self.task is not None
        found = run.scored(self.task.subset, self.task.key, mode)
        return found if found is None or self.language is None else found.get("by_language", {}).get(self.language)


@dataclass(frozen=True)
class BoardTable:
    """One table: its key (a part of the table's anchor on the page), its title and its columns."""

    key: str
    title: str
    columns: tuple[Column, ...]


def board_tables() -> list[BoardTable]:
    """Every table of the leaderboard: overview, text, image, video, and one for each subset with several languages."""
    means = tuple(
        Column(f"{modality} tasks", f"mean {SHORT[metric]}", metric, over=("modality", modality),
               hint=f"the mean over all {modality} tasks on this page whose main metric is {metric}")
        for modality in MODALITIES
        for metric in ("macro_f1", "pearson")
    )  # fmt: skip
    found = [BoardTable(OVERVIEW, "Overview: means over the tasks", means)]
    for modality in MODALITIES:
        tasks = [task for subset in benchmark().values() if subset.modality == modality for task in subset.tasks]
        columns = tuple(column for task in tasks for column in _of_task(task))
        found.append(BoardTable(modality, f"{modality.capitalize()} tasks", columns))
    several = [subset for subset in benchmark().values() if len(subset.languages) > 1]
    return [*found, *(_languages(subset.tasks[0], subset.languages) for subset in several)]


def _of_task(task: Task) -> list[Column]:
    """The paper's columns of a task: accuracy and macro F1 for labels, Pearson's r (of each dimension) for numbers."""
    if isinstance(task.grammar, Labels):
        metrics = {"accuracy": "Acc.", "macro_f1": "Macro F1"}
    elif isinstance(task.grammar, Vad):
        metrics = {f"pearson_{name}": f"{name} r" for name in task.grammar.dimensions}
    else:
        metrics = {"pearson": "r"}
    several = len(benchmark()[task.subset].tasks) > 1
    return [
        Column(task.subset, f"{task.key} {short}" if several else short, metric, task,
               hint="weighted Jaccard, which the paper calls accuracy" if is_jaccard(task, metric) else "")
        for metric, short in metrics.items()
    ]  # fmt: skip


def _languages(task: Task, languages: tuple[str, ...]) -> BoardTable:
    metric = task.main_metric
    mean = Column(task.subset, "mean", metric, over=("languages", task.name), hint="mean over the languages")
    each = (Column(task.subset, one, metric, task, one, hint=language_name(one)) for one in sorted(languages))
    return BoardTable(task.subset, f"{task.subset} by language: macro F1", (mean, *each))
