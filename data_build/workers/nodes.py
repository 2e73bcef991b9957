"""Open files in the workers of a Ray cluster. Each worker has a guarded process of its own, as on one machine.

So a file that makes its decoder hang or crash ends only that process, and decoders have no network, although Ray does.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, Generic, TypeVar

from data_build.workers.pool import Failed, run_guarded
from mmafflm.cluster.connect import connected, one_a_core, require_ray
from mmafflm.cluster.crew import Arrived, Crew

T = TypeVar("T")
R = TypeVar("R")


class Nodes:
    """A Ray cluster that opens files, as a context manager. It is joined at the first call of `run`."""

    def __init__(self, address: str, workers: int | None) -> None:
        """workers: one for each core by default. Raises UsageFault when ray is not installed."""
        require_ray(address)
        self.address, self.workers, self.held = address, workers, ExitStack()
        self.crew: Crew | None = None

    def __enter__(self) -> "Nodes":
        return self

    def __exit__(self, *error: object) -> None:
        self.held.close()

    def run(
        self, work: Callable[[T], R], portions: Iterable[Sequence[T]], limit_s: float, memory: int
    ) -> Generator[tuple[T, R | Failed], None, None]:
        """Yield each task with its result, as run_guarded does. All tasks of a portion go to the same worker.

        The workers stay for the next call, which must have the same work and limits.
        """
        if self.crew is None:
            self.held.enter_context(connected(self.address, self.workers))
            self.crew = Crew(partial(GuardedWorker, work, limit_s, memory), one_a_core(self.workers))
            self.held.callback(self.crew.close)
        for arrived in self.crew.each("work", None, portions):
            yield from arrived


class GuardedWorker(Generic[T, R]):
    """One process of run_guarded, which is kept from one portion to the next."""

    def __init__(self, work: Callable[[T], R], limit_s: float, memory: int) -> None:
        self.waiting = deque[T]()
        self.results = run_guarded(work, _Waiting(self.waiting), 1, limit_s, memory)

    def work(self, _: Any, tasks: Sequence[T]) -> Iterator[Arrived]:
        """Yield results in the order of the tasks, because there is only one process."""
        self.waiting.extend(tasks)
        for place in range(len(tasks)):
            yield [(place, next(self.results)[1])]


class _Waiting(Iterator[T]):
    """An iterator over the waiting tasks. Unlike a generator, it can be empty and later have tasks again."""

    def __init__(self, waiting: deque[T]) -> None:
        self.waiting = waiting

    def __next__(self) -> T:
        if not self.waiting:
            raise StopIteration
        return self.waiting.popleft()
