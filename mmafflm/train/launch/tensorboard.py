"""TensorBoard's event files: read those that the Trainer writes, and write our own curves next to them.

We use tensorboard's own classes, not torch's, because the launching process does not import torch.
"""

import time
from collections.abc import Mapping
from pathlib import Path

TRAINER, OURS = "trainer", "mmafflm"  # folders below OUT/tensorboard; TensorBoard follows one writer per folder


class TrainerEvents:
    """The scalars of every step that the Trainer's TensorBoardCallback has written to a folder so far."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.loaders: dict[str, object] = {}
        self.steps: dict[int, dict[str, float]] = {}  # by step: {"loss": ..., "grad_norm": ..., "wall_time": ...}

    def read(self) -> None:
        """Read what was written since the last call. The values of a step that was trained again are replaced."""
        from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

        for path in sorted(self.folder.glob("events.out.tfevents.*")):
            loader = self.loaders.setdefault(path.name, EventFileLoader(str(path)))
            for event in loader.Load():  # type: ignore[attr-defined]
                row = self.steps.setdefault(event.step, {})
                for value in event.summary.value:
                    if value.tag.startswith("train/") and value.HasField("tensor") and value.tensor.float_val:
                        row[value.tag.removeprefix("train/")] = float(value.tensor.float_val[0])
                        row["wall_time"] = event.wall_time


class Curves:
    """Writes our own curves: one folder per run, one file per launch."""

    def __init__(self, folder: Path) -> None:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self.writer = EventFileWriter(str(folder))

    def add(self, step: int, values: Mapping[str, float | None]) -> None:
        """Write the points of a step, {"group/name": value}, and flush them to the disk. None values are left out."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        points = [Summary.Value(tag=name, simple_value=value) for name, value in values.items() if value is not None]
        self.writer.add_event(Event(wall_time=time.time(), step=step, summary=Summary(value=points)))
        self.writer.flush()

    def close(self) -> None:
        """Close the file."""
        self.writer.close()
