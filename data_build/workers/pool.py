"""Worker processes that may hang, crash or exhaust memory without harming the parent process.

concurrent.futures cannot stop a single task: a decoder that hangs would keep its slot for ever, and one that crashes
would break the whole pool. Here each worker has its own pipes, task and time limit, and is killed and replaced alone.
"""

import multiprocessing
import os
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
from mmafflm.orphans import die_with_parent
from mmafflm.terminal.interrupts import first_interrupt_held

T = TypeVar("T")
R = TypeVar("R")
_spawn = multiprocessing.get_context("spawn")


class Failed(NamedTuple):
    """The result of a task that failed, with the reason."""

    reason: str


class _Process(NamedTuple):
    """A worker with two one-way pipes. (Two-way pipes are sockets, which a worker that has workers may not open.)"""

    process: BaseProcess
    tasks: Connection
    results: Connection


@dataclass
class _Busy(Generic[T]):
    worker: _Process
    task: T
    deadline: float


class Workers(Generic[T, R]):
    """Up to `jobs` processes, started when there are tasks for them. They stay until the end of the `with` block."""

    def __init__(self, work: Callable[[T], R], jobs: int, limit_s: float, memory: int) -> None:
        """work: a module-level function. limit_s: seconds for one task. memory: bytes of a worker's address space."""
        self.work, self.jobs, self.limit_s, self.memory = work, jobs, limit_s, memory
        self.idle: list[_Process] = []
        self.started: list[_Process] = []

    def __enter__(self) -> "Workers[T, R]":
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self.started:  # all of them: a worker whose task raised is neither busy nor idle
            _stop(worker.process)

    def run(self, tasks: Iterator[T]) -> Generator[tuple[T, R | Failed], None, None]:
        """Yield each task with its result, in the order in which the tasks end.

        Exceptions of `work` are raised and end the run. Tasks are taken one at a time as workers become free, so they
        may be large.
        """
        busy: list[_Busy[T]] = []
        try:
            while True:
                while len(busy) < self.jobs and (task := next(tasks, None)) is not None:
                    busy.append(self._hand(task))
                if not busy:
                    return
                first = min(one.deadline for one in busy)
                ready = wait([one.worker.results for one in busy], timeout=max(0.0, first - time.monotonic()))
                for one in list(busy):
                    if one.worker.results in ready:
                        busy.remove(one)
                        yield one.task, _receive(one.worker, self.idle)
                    elif time.monotonic() >= one.deadline:
                        busy.remove(one)
                        _stop(one.worker.process)
                        yield one.task, Failed(f"not decoded in {self.limit_s:g} s")
        finally:
            for one in busy:  # its result must not reach the next run
                _stop(one.worker.process)

    def _hand(self, task: T) -> _Busy[T]:
        """Give a task to an idle worker, or to a new one."""
        if not self.idle:
            self.idle.append(_start(self.work, self.memory))
            self.started.append(self.idle[-1])
        worker = self.idle.pop()
        with suppress(ConnectionError):  # it died while idle; _receive notices that too
            worker.tasks.send(task)
        return _Busy(worker, task, time.monotonic() + self.limit_s)


def run_guarded(
    work: Callable[[T], R], tasks: Iterator[T], jobs: int, limit_s: float, memory: int
) -> Generator[tuple[T, R | Failed], None, None]:
    """Workers(work, jobs, limit_s, memory).run(tasks), with workers of its own."""
    with Workers(work, jobs, limit_s, memory) as workers:
        yield from workers.run(tasks)


def _receive(worker: _Process, idle: list[_Process]) -> Any:
    try:
        result = worker.results.recv()
    except (EOFError, ConnectionError):  # ConnectionError: it died before it had read all of its task
        worker.process.join()
        return Failed(f"the decoder crashed (exit {worker.process.exitcode})")
    if isinstance(result, Exception):
        raise result
    idle.append(worker)
    return result


def _start(work: Callable[[T], R], memory: int) -> _Process:
    tasks, send_task = _spawn.Pipe(duplex=False)
    results, send_result = _spawn.Pipe(duplex=False)
    process = _spawn.Process(target=_serve, args=(work, tasks, send_result, memory, os.getpid()))
    # Ctrl-C goes to every process of a terminal, and a worker that is starting cannot handle it. So workers are started
    # with the signals blocked: only the parent responds, and kills them. (multiprocessing's resource tracker unblocks
    # SIGINT when it starts, so it starts first.)
    ensure_running()
    # Another thread, such as one of polars, may still receive the signal, and Python would then raise it here, in the
    # middle of the hand-over: it is held until the worker has everything.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    with first_interrupt_held() as check_interrupt:
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    tasks.close()
    send_result.close()  # so that the pipe ends when the worker dies
    try:
        check_interrupt()
    except KeyboardInterrupt:
        _stop(process)
        raise
    return _Process(process, send_task, results)


def _stop(process: BaseProcess) -> None:
    process.kill()
    process.join()


def _serve(work: Callable[[T], R], tasks: Connection, results: Connection, memory: int, parent: int) -> None:
    """The loop of a worker: receive a task and send its result, until the parent closes the pipe or dies."""
    die_with_parent(parent)
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
        except Exception as error:  # a bug, or a full disk: the parent raises it again
            error.add_note(traceback.format_exc())  # a pipe carries an error's notes, but not its traceback
            result = error
        try:
            results.send(result)
        except ConnectionError:
            return
