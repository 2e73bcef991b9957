"""Translate on a Ray cluster: each worker has an engine, and only this process writes the cache."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import Any

from data_build.translate.engine import TranslationEngine, make_engine
from data_build.translate.work import Batch
from mmafflm.cluster.connect import connected, share_of_each
from mmafflm.cluster.crew import Arrived, Crew


def in_workers(
    address: str, name: str, model: str | None, workers: int | None, batches: Sequence[Batch]
) -> Iterator[tuple[Batch, list[str]]]:
    """Yield each batch with its translations when they arrive from the workers. name, model: see make_engine.

    Raises UsageFault when ray is not installed, and any exception that an engine raises.
    """
    with connected(address, workers):
        crew = Crew(partial(TranslationWorker, name, model), share_of_each(workers))
        with closing(crew):
            for arrived in crew.each("work", None, ([batch] for batch in batches)):
                yield from arrived


class TranslationWorker:
    """A worker's engine. The engine nllb loads its model at the first batch and keeps it."""

    def __init__(self, name: str, model: str | None) -> None:
        self.engine: TranslationEngine = make_engine(name, model)

    def work(self, _: Any, batches: Sequence[Batch]) -> Iterator[Arrived]:
        """Yield the translations of each batch, with the batch's position."""
        for place, (pair, lines) in enumerate(batches):
            yield [(place, self.engine.translate(lines, *pair))]
