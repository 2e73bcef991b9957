"""How long each rank waits for its data: the rank times it and writes it down, the launcher reads it.

transformers times no waiting, and LLaMA-Factory takes no callback of ours. But every batch of a rank comes out of a
torch DataLoader, so mmafflm/startup replaces one public method, DataLoader.__iter__: what it returns gives the same
batches and takes the time of each next(). That holds with data workers and without, on a CPU and on a GPU.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from typing import Any

FILE = "data_wait"  # in the run's cache of a node, with the rank's number as its suffix
FORM = Struct("3d")  # seconds waited, when the wait under way began (0: there is none), when the first one began


def time_loading(module: Any) -> None:
    """Let the DataLoader of `module`, torch.utils.data.dataloader, write down how long each batch is waited for."""
    plain = module.DataLoader.__iter__
    ranks: list[RankFile] = []  # this process's, made when it asks for its first batch

    def timed(self: Any) -> Iterator[Any]:
        if not ranks:
            ranks.append(RankFile(Path(os.environ["HF_DATASETS_CACHE"]), os.environ.get("RANK", "0")))
        return ranks[0].batches(plain(self))

    module.DataLoader.__iter__ = timed


class RankFile:
    """What a rank writes: FOLDER/data_wait.RANK, 24 bytes, twice for each batch."""

    def __init__(self, folder: Path, rank: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.file = (folder / f"{FILE}.{rank}").open("wb", buffering=0)
        self.waited = self.first = 0.0

    def batches(self, batches: Iterator[Any]) -> Iterator[Any]:
        """The same batches."""
        while True:
            began = time.monotonic()
            self.first = self.first or began
            self._write(began)
            try:
                batch = next(batches)
            except StopIteration:
                return
            finally:
                self.waited += time.monotonic() - began
                self._write(0.0)
            yield batch

    def _write(self, began: float) -> None:
        with contextlib.suppress(OSError):  # a full disk ends a run where weights are written, not here
            os.pwrite(self.file.fileno(), FORM.pack(self.waited, began, self.first), 0)


class DataWaits:
    """What the ranks of this node wrote, read from the same folder. CLOCK_MONOTONIC is one clock for all of a node."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.last, self.waited = folder, time.monotonic(), 0.0

    def take(self) -> float | None:
        """The share of the ranks' time since the last call, or since their first batch; None when there is no rank."""
        now = time.monotonic()
        ranks = self._read()
        waited = sum(waited + (now - began if began else 0) for waited, began, _ in ranks.values())
        passed = sum(now - max(self.last, first) for _, _, first in ranks.values())
        share = round(min(1.0, max(0.0, (waited - self.waited) / passed)), 4) if passed > 0 else None
        self.last, self.waited = now, waited
        return share

    def under_way(self) -> dict[str, float]:
        """{rank: the seconds it has been waiting}, of those that wait for a batch now."""
        now = time.monotonic()
        return {rank: now - began for rank, (_, began, _) in sorted(self._read().items()) if began}

    def _read(self) -> dict[str, tuple[float, ...]]:
        found = {path.suffix[1:]: path.read_bytes() for path in self.folder.glob(f"{FILE}.*")}
        return {rank: FORM.unpack(row) for rank, row in found.items() if len(row) == FORM.size}
