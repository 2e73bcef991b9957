"""Workers on a Ray cluster: each makes one object, keeps it, and gets a portion of the tasks whenever it is free.

A worker streams its results. When it dies, only those of its tasks whose results have not arrived go to another worker.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from mmafflm.cluster.connect import Share
from mmafflm.errors import Fault, in_a_line

T = TypeVar("T")
Made = Callable[[], object]
Arrived = list[tuple[int, Any]]
"""What a worker's method streams: (place of the task in its portion, result)."""
MOST_DEATHS = 3  # workers that die over the same tasks, or while they start, one after the other
LOOK_S = 2.0  # between two checks for live nodes, while workers are missing


class _Actor:
    """The actor that runs on a node: it makes the object, and calls the object's methods."""

    def load(self, make: Made) -> None:
        self.made = make()

    def ask(self, method: str, *words: Any) -> Any:
        return getattr(self.made, method)(*words)

    def stream(self, method: str, about: Any, tasks: Sequence[Any]) -> Iterator[Arrived]:
        yield from getattr(self.made, method)(about, tasks)


@dataclass(eq=False)
class _Worker:
    actor: Any
    waits_for: Any  # Ray's reference to the worker's loading, or its stream of results; None for a free worker
    loaded: bool = False
    left: dict[int, Any] = field(default_factory=dict)  # tasks of its portion whose results have not arrived
    deaths: int = 0  # how many workers in a row have died over these tasks


class Crew:
    """`make` is called once in each worker; it and what it makes must be importable on every node."""

    def __init__(self, make: Made, share: Share) -> None:
        self.make, self.share = make, share
        self.workers: list[_Worker] = []
        self.starts, self.look_at = 0, 0.0

    def ask(self, method: str, *words: Any) -> Any:
        """Call a method of the object of the first ready worker. If that worker dies, call it in another one.

        Raises what the method raises; and Fault when workers keep dying, of the method or while they start, and when no
        node is left.
        """
        import ray

        deaths = 0
        while True:
            worker = self._first_ready()
            worker.deaths = deaths
            try:
                return ray.get(worker.actor.ask.remote(method, *words))
            except ray.exceptions.RayTaskError as error:
                raise _cause(error) from None
            except ray.exceptions.RayError as error:
                deaths += 1
                self._bury(worker, error)

    def each(self, method: str, about: Any, portions: Iterable[Sequence[T]]) -> Iterator[list[tuple[T, Any]]]:
        """Yield tasks with their results as they arrive, each task once.

        method: a method of the object that `make` returns. It is called with `about`, which each node gets once, and a
        portion, and yields Arrived. portions: taken one at a time as workers become free. Raises what a worker raises,
        and Fault when workers keep dying or no node is left.
        """
        import ray

        shared, rest, again = ray.put(about), iter(portions), deque[tuple[dict[int, Any], int]]()
        try:
            while True:
                self._hire()
                for worker in self.workers:
                    if worker.loaded and not worker.left:
                        left, deaths = again.popleft() if again else (dict(enumerate(next(rest, ()))), 0)
                        if not left:
                            break
                        self._begin(worker, method, shared, left, deaths)
                if not again and not any(worker.left for worker in self.workers) and self._any_loaded():
                    return
                for worker in self._ready():
                    yield from self._take(worker, again)
        finally:
            for worker in [one for one in self.workers if one.left]:  # stopped early: nobody needs these results
                self._end(worker)

    def close(self) -> None:
        """End all workers."""
        for worker in list(self.workers):
            self._end(worker)

    def _hire(self) -> None:
        """Start the missing workers for which live nodes have room. Raises Fault when there is no room for any."""
        if len(self.workers) >= self.share.workers or time.monotonic() < self.look_at:
            return
        import ray

        self.look_at = time.monotonic() + LOOK_S
        room = self.share.room()
        if not room:
            raise Fault(f"no live node of the Ray cluster has {self.share.cpus} cores and {self.share.gpus:g} GPUs.")
        while len(self.workers) < min(room, self.share.workers):
            made: Any = ray.remote(_Actor)
            actor = made.options(
                num_cpus=self.share.cpus, num_gpus=self.share.gpus, scheduling_strategy="SPREAD"
            ).remote()
            self.workers.append(_Worker(actor, actor.load.remote(self.make)))

    def _begin(self, worker: _Worker, method: str, about: Any, left: dict[int, Any], deaths: int) -> None:
        left = dict(enumerate(left.values()))
        worker.left, worker.deaths = left, deaths
        stream = worker.actor.stream.options(num_returns="streaming")
        worker.waits_for = stream.remote(method, about, list(left.values()))

    def _ready(self) -> list[_Worker]:
        """The workers that have loaded, have new results or have died. Waits for one, at most LOOK_S seconds."""
        import ray

        waiting = [worker.waits_for for worker in self.workers if worker.waits_for is not None]
        if not waiting:
            time.sleep(LOOK_S)
            return []
        ready, _ = ray.wait(waiting, num_returns=1, timeout=LOOK_S)
        if ready:  # and all others that are ready by now, so that none has to wait behind a quick one
            ready, _ = ray.wait(waiting, num_returns=len(waiting), timeout=0)
        return [worker for worker in self.workers if worker.waits_for is not None and worker.waits_for in ready]

    def _take(self, worker: _Worker, again: deque[tuple[dict[int, Any], int]]) -> Iterator[list[tuple[Any, Any]]]:
        """Yield the results that have arrived from a worker. If it has died, its remaining tasks go to `again`."""
        import ray

        try:
            if not worker.loaded:
                ray.get(worker.waits_for)
                worker.loaded, worker.waits_for, self.starts = True, None, 0
                return
            arrived = ray.get(next(worker.waits_for))
        except StopIteration:
            worker.left, worker.waits_for = {}, None
        except ray.exceptions.RayTaskError as error:
            raise _cause(error) from None
        except ray.exceptions.RayError as error:
            if worker.left:
                again.append((worker.left, worker.deaths + 1))
            self._bury(worker, error)
        else:
            worker.deaths = 0
            yield [(worker.left.pop(place), result) for place, result in arrived]

    def _first_ready(self) -> _Worker:
        while not self._any_loaded():
            self._hire()
            for worker in self._ready():
                deque(self._take(worker, deque()))
        return next(worker for worker in self.workers if worker.loaded)

    def _any_loaded(self) -> bool:
        return any(worker.loaded for worker in self.workers)

    def _bury(self, worker: _Worker, error: Exception) -> None:
        """Remove a dead worker. Raises Fault if MOST_DEATHS in a row died over the same tasks or while starting."""
        self.starts += not worker.loaded
        deaths = worker.deaths + 1 if worker.loaded else self.starts
        worker.left = {}
        self._end(worker)
        self.look_at = 0.0
        if deaths >= MOST_DEATHS:
            raise Fault(f"{deaths} workers died one after the other: {in_a_line(error)[:500]}")

    def _end(self, worker: _Worker) -> None:
        import ray

        self.workers.remove(worker)
        ray.kill(worker.actor)


def _cause(error: Any) -> Exception:
    """What a worker raised: a Fault unchanged, anything else with the worker's traceback."""
    return error.cause if isinstance(error.cause, Fault) else error
