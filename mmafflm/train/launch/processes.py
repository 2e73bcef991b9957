"""The processes of a run: which live, and ending them all.

torchrun gives every rank a session of its own, so the launched process group holds the launcher and torchrun and no
rank: a group that is dead says nothing of its ranks, and ranks outlive a torchrun that was killed. What all of them
share, data workers too, is the environment that they were started with; a variable in it names the run.
"""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

MARK = "MMAFFLM_RUN"  # what it holds is run_name(OUT, node)
STOP_S = 20.0  # what a run gets to end after SIGTERM
POLL_S = 0.1
PROC = Path("/proc")
DEAD = "ZX"


class Process(NamedTuple):
    """A process that runs: its number, its parent's, and Linux's letter for what it does (R, S, D, T, ...)."""

    pid: int
    parent: int
    state: str


def run_name(out: Path, node_rank: int) -> str:
    """What the processes of a run on one node have in their environment; OUT is another for every run."""
    return f"{node_rank}:{out.resolve()}"


def processes_of(name: str, proc: Path = PROC) -> list[Process]:
    """The living processes of a run on this machine; those of other users cannot be seen."""
    found, mark = [], f"{MARK}={name}".encode()
    for folder in proc.glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
                if state not in DEAD:
                    found.append(Process(int(folder.name), int(parent), state))
    return found


def roots_of(name: str) -> list[int]:
    """The processes of a run whose parent is none of it: what is to be told to stop."""
    found = processes_of(name)
    own = {one.pid for one in found}
    return sorted(one.pid for one in found if one.parent not in own)


def group_alive(group: int) -> bool:
    """Whether a process of this group still runs (a dead one that nobody waited for does not count)."""
    for stat in PROC.glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            state, _, pgrp = stat.read_text().rpartition(")")[2].split()[:3]
            if int(pgrp) == group and state not in DEAD:
                return True
    return False


@contextlib.contextmanager
def first_interrupt_held() -> Iterator[Callable[[], None]]:
    """Hold the first Ctrl-C or SIGTERM until what this yields is called: that raises it, as KeyboardInterrupt.

    polars raises a KeyboardInterrupt of its own for a signal that reaches it, and Python's follows a moment later: in
    the `finally` that is to stop the processes, before its first line. A second Ctrl-C is raised where it comes.
    """
    held = False

    def hold(number: int, frame: object) -> None:
        nonlocal held
        if held:
            raise KeyboardInterrupt
        held = True

    def check() -> None:
        if held:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # signals come to the main thread
        yield check
        return
    before = {sign: signal.signal(sign, hold) for sign in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield check
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler or signal.SIG_DFL)


def stop_group(process: "subprocess.Popen[bytes]", name: str = "") -> None:
    """End a process group, and the run of that name: SIGTERM to the group, after 20 s SIGKILL to all that is left.

    The first process often ends at once and torchrun only when its ranks have; a SIGKILL before that leaves them alone
    with the GPUs. A second Ctrl-C does not wait.
    """
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        left = processes_of(name) if name and sign == signal.SIGKILL else []
        for one in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one.pid, sign)
        until = time.monotonic() + STOP_S
        with contextlib.suppress(KeyboardInterrupt):
            while time.monotonic() < until:
                alive = group_alive(process.pid) or (name and processes_of(name))
                process.poll()  # after the look: what was dead then is buried now, and its returncode known
                if not alive:
                    return
                time.sleep(POLL_S)
