"""End processes together with their parent, so that after kill -9 no part of a run or a build keeps running."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
PARENT = "MMAFFLM_PARENT"  # environment variable of training processes: the id of the process that started this one


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when the thread that started it ends, however it ends. Linux only.

    parent: the id of the process that started this one. The kernel does not report a parent that has already ended; in
    that case this process ends at once.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
