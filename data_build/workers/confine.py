"""Block the network of a worker process before it opens an untrusted file.

mmafflm/media/decode.py already keeps FFmpeg from opening anything except the bytes of the file. This is a second
protection. It needs no privileges: a process may always give up its own system calls (seccomp, Linux 3.17). Where the
kernel or a container forbids even that, only the first protection remains.
"""

import ctypes
import platform
import struct
import sys

PR_SET_NO_NEW_PRIVS = 38
SET_MODE_FILTER, ALL_THREADS = 1, 1  # seccomp's operation, and its flag TSYNC: includes threads that libraries started
IO_URING_SETUP, X32 = 425, 0x40000000  # io_uring opens sockets without `socket`; x32: x86-64's other call numbers
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | 13  # errno EACCES
# machine: (the kernel's number of the architecture, then the numbers of the calls `seccomp` and `socket`)
MACHINES = {"x86_64": (0xC000003E, 317, 41), "aarch64": (0xC00000B7, 277, 198)}


def confine() -> bool:
    """Block this process from opening sockets, permanently. Returns False if that is not possible here."""
    if sys.platform != "linux" or platform.machine() not in MACHINES:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    architecture, seccomp, socket = MACHINES[platform.machine()]
    code = ctypes.create_string_buffer(_filter(architecture, socket))
    program = struct.pack("HxxxxxxP", len(code.raw) // 8, ctypes.addressof(code))
    return bool(libc.syscall(seccomp, SET_MODE_FILTER, ALL_THREADS, ctypes.create_string_buffer(program)) == 0)


def _filter(architecture: int, socket: int) -> bytes:
    """The filter in the kernel's form (linux/filter.h): refuse sockets and io_uring, allow every other call."""
    load, equal, at_least, give = 0x20, 0x15, 0x35, 0x06
    steps = [  # operation, steps to skip if true, steps to skip if false, operand
        (load, 0, 0, 4),  # the architecture of the call
        (equal, 0, 4, architecture),
        (load, 0, 0, 0),  # the number of the call
        (at_least, 2, 0, X32),
        (equal, 1, 0, socket),
        (equal, 0, 1, IO_URING_SETUP),
        (give, 0, 0, REFUSE),
        (give, 0, 0, ALLOW),
    ]
    return b"".join(struct.pack("HBBI", *step) for step in steps)
