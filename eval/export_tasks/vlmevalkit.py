"""Tables for VLMEvalKit: one TSV file for each image task, in the format of VLMEvalKit's own image data sets."""

import base64
import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from eval.export_tasks.tasks import ExportedTask
from mmafflm.dataset import Dataset
from mmafflm.files.inside import media_path
from mmafflm.records import replacing

COLUMNS = ("index", "image", "question", "answer", "category", "id")


def write(tasks: Sequence[ExportedTask], data: Dataset, out: Path) -> None:
    """Write MMAFFBen_NAME.tsv for each task. The file contains the pictures, encoded as base64."""
    for task in tasks:
        with replacing(out / f"MMAFFBen_{task.name}.tsv") as file:
            for row in _rows(task, data):
                line = io.StringIO()
                csv.writer(line, delimiter="\t", lineterminator="\n").writerow(row)
                file.write(line.getvalue().encode())


def _rows(task: ExportedTask, data: Dataset) -> Iterator[Sequence[object]]:
    yield COLUMNS
    for index, one in enumerate(task.records):
        (name,) = one.images
        picture = base64.b64encode(media_path(data.path, name).read_bytes()).decode()
        yield index, picture, one.prompt.replace("<image>", ""), one.answer, task.name, one.id
