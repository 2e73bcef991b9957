"""Tasks for inspect-ai 0.3.285: one Python file with a @task function for each task."""

from collections.abc import Sequence
from pathlib import Path

from eval.export_tasks.tasks import ExportedTask, rendered
from mmafflm.dataset import Dataset
from mmafflm.records import write_text


def write(tasks: Sequence[ExportedTask], data: Dataset, out: Path) -> None:
    """Write mmaffben.py, which contains all tasks."""
    write_text(out / "mmaffben.py", rendered("inspect.py.j2", tasks=tasks))
