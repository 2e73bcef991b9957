"""How long the trainer waits for its data, sampled from outside.

transformers times no waiting, and LLaMA-Factory takes no callback of ours. But the main thread of a trainer that waits
for a batch sits in one system call: without a GPU in poll() on a data worker's pipe; with one in a futex() that has a
time limit, because torch pins the batch in a thread and asks it through a queue.Queue with a limit of 5 s. Linux shows
the call in /proc/PID/syscall to the process's parent. Looked at 20 times a second, it gives the share of time spent
waiting with a standard error of at most 0.5 / sqrt(samples): 1% in two minutes, nothing of use in half a second.

The poll() was checked on this project's CPU runs, the futex() on a Python process that waits in the same way, not on a
GPU. Where /proc/PID/syscall may not be read (another kernel than Linux on x86_64, ptrace_scope 2 or 3) nothing is said.
"""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PERIOD_S = 0.05
LOOK_EVERY = 40  # periods between two looks for the trainers' processes
POLL = {"7", "271"}  # poll and ppoll on x86_64
FUTEX = "202"


class Waited(NamedTuple):
    """Samples of trainers' main threads, and how many of them found it waiting for a batch."""

    waiting: int
    samples: int

    @property
    def share(self) -> float | None:
        """The share of time; None without a sample."""
        return round(self.waiting / self.samples, 4) if self.samples else None


class DataWaits:
    """Samples the trainers below a launched process until it is closed. pinned: they train on GPUs."""

    def __init__(self, root: int, pinned: bool) -> None:
        self.root, self.pinned = root, pinned
        self.waiting = self.samples = 0
        self.lock, self.over = threading.Lock(), threading.Event()
        self.thread = threading.Thread(target=self._sample, name="data waits", daemon=True)
        self.thread.start()

    def take(self) -> Waited:
        """What was sampled since the last call."""
        with self.lock:
            taken = Waited(self.waiting, self.samples)
            self.waiting = self.samples = 0
        return taken

    def close(self) -> None:
        """Sample no more."""
        self.over.set()
        self.thread.join()

    def _sample(self) -> None:
        found: list[int] = []
        rounds = 0
        while not self.over.wait(PERIOD_S):
            if rounds % LOOK_EVERY == 0:
                found = list(trainers(self.root))
            rounds += 1
            for process in found:
                with contextlib.suppress(OSError):
                    waits = waits_for_data(Path(f"/proc/{process}/syscall").read_text(), self.pinned)
                    with self.lock:
                        self.samples += 1
                        self.waiting += waits


def waits_for_data(syscall: str, pinned: bool) -> bool:
    """Whether a line of /proc/PID/syscall ("202 0x7f.. 0x189 ...", or "running") is that of a wait for a batch."""
    number, *arguments = syscall.split()
    if pinned:
        return number == FUTEX and len(arguments) > 3 and int(arguments[3], 16) != 0
    return number in POLL


def trainers(root: int) -> Iterator[int]:
    """The processes below `root`, or itself, that have data workers: children that were forked, with the same words."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    below = [root]
    for process in below:
        own = children.get(process, [])
        if any(_words(child) == _words(process) for child in own):
            yield process  # its workers are not looked into
        else:
            below.extend(own)


def _words(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""
