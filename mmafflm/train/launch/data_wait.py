"""How long each rank waits for its data: the rank measures the time and writes it to a file, and the launcher reads it.

transformers does not measure this time, and LLaMA-Factory accepts no callback of ours. But every batch of a rank comes
from a torch DataLoader. So mmafflm/train/launch/startup/sitecustomize.py replaces one public method,
DataLoader.__iter__. The new iterator returns the same batches and measures the time of each next(). This works with
data workers and without, on a CPU and on a GPU.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from typing import Any

FILE = "data_wait"  # in the run's cache on each node, with the rank's number as its suffix
FORM = Struct("3d")  # seconds waited; start of the current wait (0: not waiting); start of the first wait


def time_loading(module: Any) -> None:
    """Make the DataLoader of `module` (torch.utils.data.dataloader) record how long the rank waits for each batch."""
    plain, file, waited, first = module.DataLoader.__iter__, -1, 0.0, 0.0

    def write(began: float) -> None:
        with contextlib.suppress(OSError):  # a full disk must end a run when it writes weights, not here
            os.pwrite(file, FORM.pack(waited, began, first), 0)

    def timed(self: Any) -> Iterator[Any]:
        nonlocal file, waited, first
        if file < 0:
            folder = Path(os.environ["HF_DATASETS_CACHE"])
            folder.mkdir(parents=True, exist_ok=True)
            file = os.open(folder / f"{FILE}.{os.environ.get('RANK', '0')}", os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
        batches = plain(self)
        while True:
            began = time.monotonic()
            first = first or began
            write(began)
            try:
                batch = next(batches)
            except StopIteration:
                return
            finally:
                waited += time.monotonic() - began
                write(0.0)
            yield batch

    module.DataLoader.__iter__ = timed


class DataWaits:
    """Reads the files of this node's ranks from `folder`. All processes of a node share the clock CLOCK_MONOTONIC."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.last, self.waited = folder, time.monotonic(), 0.0

    def take(self) -> float | None:
        """The share of the ranks' time since the last call that they waited for data; None before any rank waits."""
        now = time.monotonic()
        ranks = self._read()
        waited = sum(waited + (now - began if began else 0) for waited, began, _ in ranks.values())
        passed = sum(now - max(self.last, first) for _, _, first in ranks.values())
        share = round(min(1.0, max(0.0, (waited - self.waited) / passed)), 4) if passed > 0 else None
        self.last, self.waited = now, waited
        return share

    def under_way(self) -> dict[str, float]:
        """{rank: the seconds it has been waiting}, for ranks that wait for a batch now."""
        now = time.monotonic()
        return {rank: now - began for rank, (_, began, _) in sorted(self._read().items()) if began}

    def _read(self) -> dict[str, tuple[float, ...]]:
        found = {path.suffix[1:]: path.read_bytes() for path in self.folder.glob(f"{FILE}.*")}
        return {rank: FORM.unpack(row) for rank, row in found.items() if len(row) == FORM.size}
