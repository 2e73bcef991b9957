"""The wait for data is timed in every rank."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mmafflm.train.launch.data_wait import DataWaits, time_loading
from mmafflm.train.launch.launch import STARTUP


class Clock:
    """A clock that advances by the time spent waiting and computing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("mmafflm.train.launch.data_wait.time.monotonic", lambda: self.now)


def timed(batches: Iterator[Any]) -> Iterator[Any]:
    """The batches as they come from a rank's timed DataLoader."""

    class DataLoader:
        def __iter__(self) -> Iterator[Any]:
            return batches

    time_loading(SimpleNamespace(DataLoader=DataLoader))
    return iter(DataLoader())


def trained_on(clock: Clock, wait_s: float, batches: int) -> None:
    """A rank that waits so long for each of its batches, and computes for a second on each."""

    def read() -> Iterator[int]:
        for batch in range(batches):
            clock.now += wait_s
            yield batch

    found = []
    for batch in timed(read()):
        found.append(batch)
        clock.now += 1
    assert found == [*range(batches)]


def test_waiting_for_data_is_timed_in_each_rank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rank 0 waits 3 of every 4 s, rank 1 never waits, and rank 7 is still waiting."""
    clock = Clock(monkeypatch)
    waits = DataWaits(tmp_path / "cache")
    assert waits.take() is None and waits.under_way() == {}
    clock.now += 500  # a model is being loaded
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    trained_on(clock, wait_s=3, batches=4)
    assert waits.take() == 0.75 and waits.take() is None  # no time has passed since
    monkeypatch.setenv("RANK", "1")
    trained_on(clock, wait_s=0, batches=8)
    assert waits.take() == 0  # over both ranks
    monkeypatch.setenv("RANK", "7")
    assert next(timed(hangs(waits, clock))) == {"7": 90.0}


def hangs(waits: DataWaits, clock: Clock) -> Iterator[dict[str, float]]:
    """Batches that do not come: yields what the launcher sees of the waiting rank."""
    clock.now += 90
    assert waits.take() == pytest.approx(90 / (90 * 3), abs=1e-4)  # one of three ranks waits
    yield waits.under_way()


def test_every_dataloader_of_a_run_is_timed(tmp_path: Path) -> None:
    code = (
        "from torch.utils.data import DataLoader\n"
        "print([int(batch) for batch in DataLoader(range(3), num_workers=1)], len(DataLoader(range(3))))"
    )
    env = os.environ | {"PYTHONPATH": str(STARTUP), "HF_DATASETS_CACHE": str(tmp_path), "RANK": "3"}
    waits = DataWaits(tmp_path)
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.stdout == "[0, 1, 2] 3\n", done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["data_wait.3"]
    assert 0 < (waits.take() or 0) < 1 and waits.under_way() == {}
