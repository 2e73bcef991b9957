"""Worker processes that may hang, crash or eat memory, and a parent that never does.

concurrent.futures cannot stop one task: a decoder that hangs would hold its slot for ever, and one that crashes would
break the whole pool. Here each worker has a pipe, a task and a time limit; it is killed alone and replaced.
"""

import multiprocessing
import resource
import signal
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.resource_tracker import ensure_running
from typing import Any, Generic, NamedTuple, TypeVar

from data_build.workers.confine import confine

T = TypeVar("T")
R = TypeVar("R")
_spawn = multiprocessing.get_context("spawn")


class Failed(NamedTuple):
    """What became of a task instead of a result."""

    reason: str


class _Process(NamedTuple):
    """A worker. Two pipes of one way each: a worker, which may open no socket, may have workers of its own."""

    process: BaseProcess
    tasks: Connection
    results: Connection


@dataclass
class _Busy(Generic[T]):
    worker: _Process
    task: T
    deadline: float


def run_guarded(
    work: Callable[[T], R], tasks: Iterator[T], jobs: int, limit_s: float, memory: int
) -> Generator[tuple[T, R | Failed], None, None]:
    """Each task with its result, in the order in which they end.

    work: a module-level function; what it raises is a bug and ends the run. limit_s: for one task. memory: bytes of
    address space of a worker. Tasks are drawn one at a time, as workers come free, so they may be large.
    """
    busy: list[_Busy[T]] = []
    idle: list[_Process] = []
    started: list[_Process] = []
    try:
        while True:
            while len(busy) < jobs and (task := next(tasks, None)) is not None:
                if not idle:
                    idle.append(_start(work, memory))
                    started.append(idle[-1])
                worker = idle.pop()
                with suppress(ConnectionError):  # it died while it had nothing to do; _receive sees that, too
                    worker.tasks.send(task)
                busy.append(_Busy(worker, task, time.monotonic() + limit_s))
            if not busy:
                return
            first = min(one.deadline for one in busy)
            ready = wait([one.worker.results for one in busy], timeout=max(0.0, first - time.monotonic()))
            for one in list(busy):
                if one.worker.results in ready:
                    busy.remove(one)
                    yield one.task, _receive(one.worker, idle)
                elif time.monotonic() >= one.deadline:
                    busy.remove(one)
                    _stop(one.worker.process)
                    yield one.task, Failed(f"not decoded in {limit_s:g} s")
    finally:
        for worker in started:  # the one whose task raised is neither busy nor idle
            _stop(worker.process)


def _receive(worker: _Process, idle: list[_Process]) -> Any:
    try:
        result = worker.results.recv()
    except (EOFError, ConnectionError):  # the latter when it had not read all of its task
        worker.process.join()
        return Failed(f"the decoder crashed (exit {worker.process.exitcode})")
    if isinstance(result, Exception):
        raise result
    idle.append(worker)
    return result


def _start(work: Callable[[T], R], memory: int) -> _Process:
    tasks, send_task = _spawn.Pipe(duplex=False)
    results, send_result = _spawn.Pipe(duplex=False)
    process = _spawn.Process(target=_serve, args=(work, tasks, send_result, memory))
    # Ctrl-C goes to every process of a terminal, and while a worker is starting it cannot handle it. So the signals are
    # blocked for workers from the start: the parent alone answers, and kills them. (The tracker unblocks SIGINT when it
    # starts, so it starts first.)
    ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    tasks.close()
    send_result.close()  # so that a dead worker reads as the end of the pipe
    return _Process(process, send_task, results)


def _stop(process: BaseProcess) -> None:
    process.kill()
    process.join()


def _serve(work: Callable[[T], R], tasks: Connection, results: Connection, memory: int) -> None:
    """A worker's life: task in, result out, until the parent closes the pipe or dies."""
    confine()
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while True:
        result: R | Exception
        try:
            task = tasks.recv()
        except (EOFError, ConnectionError):
            return
        try:
            result = work(task)
        except Exception as error:  # a bug, or a full disk: the parent raises it
            error.add_note(traceback.format_exc())  # a pipe carries the notes of an error, not where it was raised
            result = error
        try:
            results.send(result)
        except ConnectionError:
            return
