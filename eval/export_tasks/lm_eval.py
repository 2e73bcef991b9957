"""Tasks for lm-evaluation-harness 0.4.13: one YAML file for each task, and the functions to which these files refer."""

from collections.abc import Sequence
from pathlib import Path

from eval.export_tasks.tasks import LOWER, ExportedTask, all_metrics, rendered
from mmafflm.dataset import Dataset
from mmafflm.records import write_text


def write(tasks: Sequence[ExportedTask], data: Dataset, out: Path) -> None:
    """Write NAME.yaml for each task and mmaffben.py."""
    for task in tasks:
        write_text(out / f"{task.name}.yaml", rendered("lm-eval.yaml.j2", task=task, lower=LOWER))
    write_text(out / "mmaffben.py", rendered("lm-eval.py.j2", metrics=all_metrics(tasks)))
