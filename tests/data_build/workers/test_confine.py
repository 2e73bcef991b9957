"""A worker has no network, and ends with its parent."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data_build.workers.confine import MACHINES, confine
from data_build.workers.pool import run_guarded

MEMORY = 4 << 30
FAMILIES = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, socket.AF_PACKET)


def refused(_: int) -> list[str]:
    """How each kind of socket is refused."""
    found = []
    for family in FAMILIES:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            try:
                socket.socket(family, kind).close()
                found.append("open")
            except OSError as error:
                found.append(type(error).__name__)
    return found


def confined(_: int) -> bool:
    return confine()


def one(work: object, task: int = 0) -> object:
    ((_, result),) = run_guarded(work, iter([task]), 1, 60, MEMORY)  # type: ignore[arg-type]
    return result


def test_a_worker_can_open_no_socket() -> None:
    if not one(confined):
        pytest.skip(f"this kernel lets no process give up system calls (or none of {list(MACHINES)})")
    assert one(refused) == ["PermissionError"] * 2 * len(FAMILIES)
    socket.socket().close()  # and the parent still can


ORPHAN = """
from data_build.workers.pool import run_guarded
from tests.data_build.workers.test_confine import busy
if __name__ == "__main__":
    for _ in run_guarded(busy, iter(range(2)), 2, 60, 4 << 30):
        pass
"""


def busy(task: int) -> int:
    """Print that it works, then hang."""
    os.write(1, b"working\n")
    time.sleep(600)
    return task


def test_the_workers_of_a_killed_parent_end_without_a_word(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(ORPHAN)
    pipe, env = subprocess.PIPE, {"PYTHONPATH": str(Path.cwd())}
    with subprocess.Popen([sys.executable, script], env=env, stdout=pipe, stderr=pipe, text=True) as parent:
        assert parent.stdout and parent.stderr
        assert [parent.stdout.readline() for _ in range(2)] == ["working\n"] * 2
        parent.kill()
        assert parent.stderr.read() == ""  # ends when the last worker is gone: each holds it open


KILLED_EARLY = """
import os, signal
from data_build.workers.pool import run_guarded
from tests.data_build.workers.test_confine import Slow
def tasks():
    yield 0
    os.kill(os.getpid(), signal.SIGKILL)
if __name__ == "__main__":
    for _ in run_guarded(Slow(os.getpid()), tasks(), 2, 60, 4 << 30):
        pass
"""


class Slow:
    """Work whose worker is ready only after its parent has died; it has its task by then."""

    def __init__(self, parent: int) -> None:
        self.parent = parent

    def __setstate__(self, state: dict[str, int]) -> None:
        while os.getppid() == state["parent"]:
            time.sleep(0.01)

    def __call__(self, task: int) -> int:
        os.write(1, b"working\n")
        return task


def test_a_worker_whose_parent_died_before_it_was_ready_does_nothing(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(KILLED_EARLY)
    env = {"PYTHONPATH": str(Path.cwd())}
    done = subprocess.run([sys.executable, script], env=env, check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL and done.stdout == "", done.stderr
