"""Send texts through an engine: only those that no run has translated, with several workers and a progress bar."""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from itertools import islice
from typing import Protocol

from data_build.translate.cache import Cache, Key
from data_build.translate.engine import TranslationEngine
from data_build.translate.marks import has_words, pieces
from mmafflm.errors import Fault
from mmafflm.terminal.progress_bar import Advance, progress


class Text(Protocol):
    """Anything to translate: a text, and the languages to translate from and into."""

    @property
    def text(self) -> str:
        """The words."""
        ...

    @property
    def pair(self) -> tuple[str, str]:
        """Language codes: from, into."""
        ...


class Translator:
    """An engine with its cache. It translates texts line by line, so that their breaks keep their places."""

    def __init__(self, engine: TranslationEngine, cache: Cache) -> None:
        self.engine, self.cache = engine, cache
        self._keys: dict[tuple[str, str], tuple[str, str, str, str, str]] = {}

    def work(self, wanted: Iterable[Text], name: str = "translating") -> int:
        """Translate what the cache lacks; an interrupted run resumes. Returns how many lines the cache lacked.

        name: of the progress bar.
        """
        missing: dict[tuple[str, str], dict[str, None]] = {}
        for one in wanted:
            lines = (line.strip() for line in pieces(one.text)[::2] if has_words(line))
            new = (line for line in lines if self._key(one.pair, line) not in self.cache.known)
            missing.setdefault(one.pair, {}).update(dict.fromkeys(new))
        jobs = [
            (pair, batch) for pair, lines in missing.items() for batch in _batches(sorted(lines), self.engine.batch)
        ]
        total = sum(map(len, missing.values()))
        if total:
            with progress(name, total) as advance:
                self._run(jobs, advance)
        return total

    def _run(self, jobs: list[tuple[tuple[str, str], list[str]]], advance: Advance) -> None:
        """Run all batches. After a fault, the batches under way are still cached; then the first fault is raised."""
        fault: Exception | None = None
        with ThreadPoolExecutor(self.engine.workers) as pool:
            futures = {pool.submit(self.engine.translate, batch, *pair): (pair, batch) for pair, batch in jobs}
            try:
                for future in as_completed(futures):
                    if future.cancelled():
                        continue
                    if error := future.exception():
                        fault = fault or (error if isinstance(error, Exception) else Fault(str(error)))
                        _cancel(futures)
                        continue
                    pair, batch = futures[future]
                    self.cache.add(zip((self._key(pair, line) for line in batch), future.result(), strict=True))
                    advance(len(batch))
            finally:
                _cancel(futures)
        if fault:
            raise fault

    def text(self, wanted: Text) -> str:
        """The translation of a whole text, from the cache. White space around a line is kept."""
        return "".join(
            piece if place % 2 or not has_words(piece) else self._line(wanted.pair, piece)
            for place, piece in enumerate(pieces(wanted.text))
        )

    def _line(self, pair: tuple[str, str], piece: str) -> str:
        line = piece.strip()
        before, _, after = piece.partition(line)
        return before + self.cache.known[self._key(pair, line)] + after

    def _key(self, pair: tuple[str, str], line: str) -> Key:
        if pair not in self._keys:
            self._keys[pair] = (self.engine.name, self.engine.model(*pair), self.engine.version(*pair), *pair)
        return (*self._keys[pair], line)


def _cancel(futures: Iterable[Future[list[str]]]) -> None:
    # not shutdown(cancel_futures=True): as_completed would wait for the cancelled ones for ever
    for future in futures:
        future.cancel()


def _batches(lines: list[str], size: int) -> Iterator[list[str]]:
    rest = iter(lines)
    while batch := list(islice(rest, size)):
        yield batch
