"""`mmaffben predict --jobs N` and `--cluster ADDRESS`: an engine in each worker of a Ray cluster, used like one engine.

Only predict writes the answers, as with any other engine, so the files of a run do not depend on the number of workers.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path
from typing import IO, Any

from eval.engines import Answers, Engine, Likelihoods, Question, Tried, make_engine
from mmafflm.cluster.connect import LOCAL, connected, require_ray, share_of_each
from mmafflm.cluster.crew import Arrived, Crew, Made
from mmafflm.errors import UsageFault
from mmafflm.media.budget import Budget

GPUS_OF_ONE = ("tensor_parallel_size", "pipeline_parallel_size")  # vLLM's options: one engine on several GPUs
_held: list[IO[str]] = []  # the locks of this process's cores: the kernel releases them when the process ends


class ClusterEngine:
    """The engines of all workers, as a context manager. `load` joins the cluster and starts the workers."""

    def __init__(self, here: Engine, make: Made, address: str, workers: int | None, least_gpus: int = 1) -> None:
        """here: the same engine, not loaded, for calls that need no loaded model. make: makes an EngineWorker.

        Raises UsageFault when ray is not installed or the address is not local, auto or HOST:PORT.
        """
        require_ray(address)
        self.here, self.make, self.address, self.workers, self.least_gpus = here, make, address, workers, least_gpus
        self.name, self.held = here.name, ExitStack()
        self.facts: dict[str, object] | None = None
        self.tokens = cache(lambda text: int(self.crew.ask("tokens", text)))

    def __enter__(self) -> "ClusterEngine":
        return self

    def __exit__(self, *error: object) -> None:
        self.held.close()

    def accepts(self) -> tuple[str, ...]:
        """The modalities that the model accepts."""
        return self.here.accepts()

    def load(self) -> None:
        """Join the cluster, start the workers and wait for the first one.

        Raises Fault when the cluster cannot be joined or the worker cannot load its engine.
        """
        if self.facts is not None:
            return
        self.held.enter_context(connected(self.address, self.workers))
        self.crew = Crew(self.make, share_of_each(self.workers, self.least_gpus))
        self.held.callback(self.crew.close)
        self.facts = self.crew.ask("describe")

    def try_out(self, questions: Sequence[Question], weighed: bool = False) -> None:
        """Try these questions in one worker. Raises Fault when the model cannot answer them."""
        self.facts = self.crew.ask("try_out", questions, weighed)

    def describe(self) -> dict[str, object]:
        """The engine's entries for run.json."""
        return self.here.describe() if self.facts is None else self.facts

    def answer(
        self, questions: Sequence[Question], wanted: Sequence[int], most_tokens: int, batch_size: int
    ) -> Iterator[Answers]:
        """Answers to questions[i] for i in `wanted`, as they arrive from any worker."""
        return self._each("answer", questions, wanted, most_tokens, batch_size)

    def likelihoods(
        self, questions: Sequence[Question], wanted: Sequence[int], candidates: Sequence[str], batch_size: int
    ) -> Iterator[Likelihoods]:
        """ln P(candidate, end of turn | questions[i]) for i in `wanted`, as they arrive from any worker."""
        if not wanted:  # the workers may not have started yet
            return self.here.likelihoods(questions, wanted, candidates, batch_size)
        return self._each("likelihoods", questions, wanted, list(candidates), batch_size)

    def _each(
        self, what: str, questions: Sequence[Question], wanted: Sequence[int], more: Any, size: int
    ) -> Iterator[Any]:
        about = (what, list(questions), more, size)
        return self.crew.each("work", about, shrinking(wanted, size, self.crew.share.workers))


def shrinking(wanted: Sequence[int], batch_size: int, workers: int) -> Iterator[Sequence[int]]:
    """Split `wanted` into portions. A single worker gets all of it at once.

    The first portions are large, because an engine repeats its preparations for each portion. The later ones are small,
    so that all workers end at about the same time.
    """
    start = 0
    while start < len(wanted):
        left = len(wanted) - start
        size = left if workers == 1 else max(batch_size, left // (2 * workers))
        yield wanted[start : start + size]
        start += size


class EngineWorker:
    """A worker's engine, loaded."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        engine.load()

    def tokens(self, text: str) -> int:
        """The engine's tokens()."""
        return self.engine.tokens(text)

    def describe(self) -> dict[str, object]:
        """The engine's describe()."""
        return self.engine.describe()

    def try_out(self, questions: Sequence[Question], weighed: bool) -> dict[str, object]:
        """The engine's try_out(), if it has one, and then its describe()."""
        if isinstance(self.engine, Tried):
            self.engine.try_out(questions, weighed)
        return self.engine.describe()

    def work(self, about: tuple[str, list[Question], Any, int], wanted: Sequence[int]) -> Iterator[Arrived]:
        """The engine's answer() or likelihoods() for the questions in `wanted`."""
        what, questions, more, batch_size = about
        place = {position: at for at, position in enumerate(wanted)}
        batches: Iterable[list[tuple[int, Any]]] = getattr(self.engine, what)(questions, wanted, more, batch_size)
        for batch in batches:
            yield [(place[position], found) for position, found in batch]


def on_cluster(
    name: str, ckpt: str, root: Path, budget: Budget, options: Mapping[str, str], cluster: str | None, jobs: int | None
) -> ClusterEngine:
    """The engine NAME in `jobs` workers of a Ray cluster, by default of a local one.

    See make_engine for the other arguments. Raises UsageFault for fewer than 1 job and for the engine openai, which
    needs no workers, and what make_engine raises.
    """
    if jobs is not None and jobs < 1:
        raise UsageFault("--jobs must be 1 or more")
    words = (name, ckpt, "auto", root.resolve(), budget, dict(options))
    here = make_engine(*words)
    if name == "openai":
        raise UsageFault("--engine openai calls a server from one process: leave out --jobs and --cluster")
    gpus = 1
    for option in GPUS_OF_ONE:
        gpus *= int(options.get(option, 1))
    return ClusterEngine(here, partial(_in_worker, *words), cluster or LOCAL, jobs, gpus)


def _in_worker(name: str, *words: Any) -> EngineWorker:
    if name == "vllm":
        # vLLM binds its threads to cores. Without this, two engines bind them to the same cores.
        count = int(os.environ.get("OMP_NUM_THREADS", "1"))
        os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", ",".join(map(str, own_cores(count))) or "nobind")
    return EngineWorker(make_engine(name, *words))


def own_cores(count: int) -> list[int]:
    """`count` cores of this machine that no other worker has while this process lives; [] if there are fewer."""
    found: list[tuple[int, IO[str]]] = []
    folder = Path(tempfile.gettempdir(), f"mmafflm-cores-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    for core in sorted(os.sched_getaffinity(0)):
        lock = (folder / str(core)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        found.append((core, lock))
        if len(found) == count:
            _held.extend(lock for _, lock in found)
            return [core for core, _ in found]
    return []  # the locks in `found` are released as their files are closed
