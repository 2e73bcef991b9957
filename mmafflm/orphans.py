"""Processes that end with their parent, so that after kill -9 no part of a run or a build keeps running."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
PARENT = "MMAFFLM_PARENT"  # in the environment of the programs of a training: the process that started this one


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when the thread that started it ends, however it ends. Linux only.

    parent: the number of the process that started this one. The kernel says nothing of a parent that is dead already;
    then this process ends at once.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
