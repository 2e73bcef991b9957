"""The processes of a run: find those that are alive, and stop them all.

torchrun gives every rank its own session. So the launched process group holds the launcher and torchrun, but no rank: a
dead group does not mean that its ranks are dead, and ranks outlive a torchrun that was killed. All of them, including
data workers, inherit one environment, which has the name of the run in the variable MMAFFLM_RUN.
"""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

MARK = "MMAFFLM_RUN"  # its value is run_name(OUT, node)
STOP_S = 20.0  # seconds that a run has to end after SIGTERM
POLL_S = 0.1
PROC = Path("/proc")
DEAD = "ZX"


class Process(NamedTuple):
    """A running process: its number, its parent's number, and Linux's letter for its state (R, S, D, T, ...)."""

    pid: int
    parent: int
    state: str


def run_name(out: Path, node_rank: int) -> str:
    """The name of a run on one node, which is in the environment of its processes. OUT makes it unique."""
    return f"{node_rank}:{out.resolve()}"


def processes_of(name: str, proc: Path = PROC) -> list[Process]:
    """The living processes of a run on this machine; processes of other users cannot be seen."""
    found, mark = [], f"{MARK}={name}".encode()
    for folder in proc.glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
                if state not in DEAD:
                    found.append(Process(int(folder.name), int(parent), state))
    return found


def roots_of(name: str) -> list[int]:
    """The run's top-level processes: the ones to signal."""
    found = processes_of(name)
    own = {one.pid for one in found}
    return sorted(one.pid for one in found if one.parent not in own)


def group_alive(group: int) -> bool:
    """Whether a process of this group still runs (a dead process that nobody has waited for does not count)."""
    for stat in PROC.glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            state, _, pgrp = stat.read_text().rpartition(")")[2].split()[:3]
            if int(pgrp) == group and state not in DEAD:
                return True
    return False


def stop_group(process: "subprocess.Popen[bytes]", name: str = "") -> None:
    """Stop the group of a process and, if `name` is given, every process of the run with that name.

    The group gets SIGTERM; after 20 s everything that is left gets SIGKILL. The first process often ends at once, but
    torchrun ends only after its ranks. A SIGKILL to torchrun before that would leave the ranks running on the GPUs. A
    second Ctrl-C ends the waiting.
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
                process.poll()  # after the check: this reaps a process that was dead by then, and sets its returncode
                if not alive:
                    return
                time.sleep(POLL_S)
