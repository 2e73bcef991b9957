"""TensorBoard's event files: reading what the Trainer writes, and writing curves of our own beside it.

With tensorboard's own classes, not torch's: the launching process imports no torch.
"""

import time
from collections.abc import Mapping
from pathlib import Path

TRAINER, OURS = "trainer", "mmafflm"  # folders below OUT/tensorboard; TensorBoard follows one writer in a folder


class TrainerEvents:
    """The scalars of every step in a folder that the Trainer's TensorBoardCallback writes to, as far as it got."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.loaders: dict[str, object] = {}
        self.steps: dict[int, dict[str, float]] = {}  # by step: {"loss": ..., "grad_norm": ..., "wall_time": ...}

    def read(self) -> None:
        """Take up what was written since the last call; a step that was trained again replaces the earlier one."""
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
    """Our own curves; a folder per run, a file per launch."""

    def __init__(self, folder: Path) -> None:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self.writer = EventFileWriter(str(folder))

    def add(self, step: int, values: Mapping[str, float | None]) -> None:
        """Points of a step, {"group/name": value}; None is no point. They are on the disk when this returns."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        points = [Summary.Value(tag=name, simple_value=value) for name, value in values.items() if value is not None]
        self.writer.add_event(Event(wall_time=time.time(), step=step, summary=Summary(value=points)))
        self.writer.flush()

    def close(self) -> None:
        """No more points."""
        self.writer.close()
