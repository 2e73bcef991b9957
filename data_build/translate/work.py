"""Translate texts with an engine, several workers and a progress bar. Lines in the cache are not translated again."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from functools import partial
from itertools import islice
from typing import Protocol, TypeAlias

from data_build.translate.cache import Cache, Key
from data_build.translate.engine import TranslationEngine
from data_build.translate.marks import has_words, pieces
from mmafflm.errors import Fault
from mmafflm.terminal.progress_bar import progress

Batch: TypeAlias = tuple[tuple[str, str], list[str]]
"""A pair of languages, and lines to translate."""
Run: TypeAlias = Callable[[Sequence[Batch]], Iterator[tuple[Batch, list[str]]]]
"""Translates batches: yields each with its translations."""


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
    """An engine with its cache. It translates texts line by line, so that the line breaks do not change."""

    def __init__(self, engine: TranslationEngine, cache: Cache, run: Run | None = None) -> None:
        """run: the function that translates all batches; by default in_threads, in this process."""
        self.engine, self.cache, self.run = engine, cache, run or partial(in_threads, engine)
        self._keys: dict[tuple[str, str], tuple[str, str, str, str, str]] = {}

    def work(self, wanted: Iterable[Text], name: str = "translating") -> int:
        """Translate what the cache lacks; an interrupted run resumes. Returns how many lines the cache lacked.

        name: the label of the progress bar.
        """
        missing: dict[tuple[str, str], dict[str, None]] = {}
        for one in wanted:
            lines = (line.strip() for line in pieces(one.text)[::2] if has_words(line))
            new = (line for line in lines if self._key(one.pair, line) not in self.cache.known)
            missing.setdefault(one.pair, {}).update(dict.fromkeys(new))
        batches = [
            (pair, batch) for pair, lines in missing.items() for batch in _batches(sorted(lines), self.engine.batch)
        ]
        total = sum(map(len, missing.values()))
        if total:
            with progress(name, total) as advance:
                for (pair, batch), said in self.run(batches):
                    self.cache.add(zip((self._key(pair, line) for line in batch), said, strict=True))
                    advance(len(batch))
        return total

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


def in_threads(engine: TranslationEngine, batches: Sequence[Batch]) -> Iterator[tuple[Batch, list[str]]]:
    """Yield each batch with its translations as they arrive. An exception is raised once all running batches end."""
    fault: Exception | None = None
    with ThreadPoolExecutor(engine.workers) as pool:
        futures = {pool.submit(engine.translate, lines, *pair): (pair, lines) for pair, lines in batches}
        try:
            for future in as_completed(futures):
                if future.cancelled():
                    continue
                if error := future.exception():
                    fault = fault or (error if isinstance(error, Exception) else Fault(str(error)))
                    _cancel(futures)
                    continue
                yield futures[future], future.result()
        finally:
            _cancel(futures)
    if fault:
        raise fault


def _cancel(futures: Iterable[Future[list[str]]]) -> None:
    # not shutdown(cancel_futures=True): as_completed would wait for the cancelled futures for ever
    for future in futures:
        future.cancel()


def _batches(lines: list[str], size: int) -> Iterator[list[str]]:
    rest = iter(lines)
    while batch := list(islice(rest, size)):
        yield batch
