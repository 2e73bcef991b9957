"""The exported tasks, one for each task of a chosen subset, and their rows (docs), which a harness reads."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any

import jinja2

from eval.run.selection import Selection
from eval.score.score import task_metrics
from mmafflm.benchmark.benchmark import Task, benchmark
from mmafflm.dataset import Dataset, split_file
from mmafflm.errors import UsageFault
from mmafflm.records import Record, media_files

Doc = dict[str, Any]
LOWER = ("mae", "unparsed")  # metrics for which lower is better


@dataclass(frozen=True)
class ExportedTask:
    """One task of one subset with its chosen test records. name: for example xed or semeval2018_english_ei_reg."""

    name: str
    task: Task
    records: list[Record]

    @cached_property
    def metrics(self) -> list[str]:
        """The names of the task's metrics, the main metric first."""
        golds, emotions = [one.gold for one in self.records], [one.emotion for one in self.records]
        found = task_metrics(self.task, golds, emotions, [one.answer for one in self.records])
        return sorted(found, key=lambda name: name != self.task.main_metric)

    @property
    def most_tokens(self) -> int:
        """The most tokens that an answer may have: a generous bound that needs no tokenizer."""
        return max(len(one.answer.encode()) for one in self.records) // 2 + 16

    def docs(self) -> list[Doc]:
        """The rows. A key's values have the same type in all rows of all tasks, for readers that fix a schema."""
        return [
            {
                "id": one.id,
                "task": self.name,
                "language": one.language,
                "question": one.prompt,  # contains <image> or <video> where the picture or clip belongs
                "answer": one.answer,
                "emotion": one.emotion or "",
                "gold": json.dumps(one.gold, ensure_ascii=False),
                "images": one.images,
                "videos": json.dumps(one.videos),  # a clip is a list of frame files, or one video file
            }
            for one in self.records
        ]


def exported_tasks(data: Dataset, subsets: list[str] | None, limit: int | None) -> list[ExportedTask]:
    """Every task of the chosen subsets, with the test rows that `mmaffben predict --limit` uses.

    Raises UsageFault for a limit below 1 or a subset that DATA lacks; Fault for changed records or missing media.
    """
    if limit is not None and limit < 1:
        raise UsageFault("--limit must be 1 or more")
    data.require_subsets(subsets or (), "test")
    names = [name for name in data.subsets("test") if subsets is None or name in subsets]
    data.require_unchanged(split_file(name, "test") for name in names)
    chosen = {name: Selection(limit).of(list(data.records(name, "test"))) for name in names}
    data.require_media(name for records in chosen.values() for record in records for name in media_files(record))
    found = []
    for name, records in chosen.items():
        for task in benchmark()[name].tasks:
            if rows := [one for one in records if benchmark()[name].task(one.task) == task]:
                found.append(ExportedTask(task.name.replace(" ", "_").lower(), task, rows))
    return found


def rendered(template: str, **values: Any) -> str:
    """The text of templates/TEMPLATE with these values."""
    folder = files("eval.export_tasks").joinpath("templates")
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: folder.joinpath(name).read_text(encoding="utf-8")),
        trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True,
    )  # fmt: skip
    return environment.get_template(template).render(**values)


def all_metrics(tasks: Iterable[ExportedTask]) -> list[str]:
    """The names of the metrics of all tasks."""
    return sorted({name for task in tasks for name in task.metrics})
