"""Tasks for lmms-eval 0.7.3: one YAML file for each task, and the functions to which these files refer."""

from collections.abc import Sequence
from pathlib import Path

from eval.export_tasks.tasks import LOWER, ExportedTask, all_metrics, rendered
from mmafflm.dataset import Dataset
from mmafflm.records import write_text


def write(tasks: Sequence[ExportedTask], data: Dataset, out: Path) -> None:
    """Write mmaffben.py, and NAME.yaml for each task."""
    for task in tasks:
        write_text(out / f"{task.name}.yaml", rendered("lmms-eval.yaml.j2", task=task, lower=LOWER))
    write_text(out / "mmaffben.py", rendered("lmms-eval.py.j2", metrics=all_metrics(tasks)))
