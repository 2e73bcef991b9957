"""Engines for tests that know the words of the samples; and the files of a build, to compare two builds."""

import threading
from collections.abc import Sequence
from pathlib import Path

from data_build.drawing.words import WORDS
from data_build.translate.marks import MARK
from mmafflm.errors import Fault, UsageFault

WORD_BY_WORD = dict(zip(WORDS["en"].split(), WORDS["es"].split(), strict=True))
BACK = {there: here for here, there in WORD_BY_WORD.items()} | {"calle": "street"}


class WordByWord:
    """English to Spanish. `seen`: every text that it got; `asked`: texts with their pair; `fails`: at which call."""

    name = "word-by-word"

    def __init__(self, batch: int = 1000, workers: int = 1, fails: int = 0) -> None:
        self.batch, self.workers, self.fails = batch, workers, fails
        self.seen: list[str] = []
        self.asked: list[tuple[str, str, str]] = []
        self.calls = 0
        self.lock = threading.Lock()

    def require(self, origin: str, target: str) -> None:
        if (origin, target) != ("en", "es"):
            raise UsageFault(f"no pair from {origin} to {target}; there are: en-es")

    def model(self, origin: str, target: str) -> str:
        return f"{origin}-{target}"

    def version(self, origin: str, target: str) -> str:
        return "1"

    def translate(self, texts: Sequence[str], origin: str, target: str) -> list[str]:
        with self.lock:
            self.calls += 1
            if self.calls == self.fails:
                raise Fault("the engine fell over")
            self.seen += texts
            self.asked += [(origin, target, text) for text in texts]
        words = WORD_BY_WORD if target == "es" else BACK
        return [" ".join(words.get(word, word) for word in text.split()) for text in texts]


class ThereAndBack(WordByWord):
    """Also Spanish to English: every word returns unchanged, except road, which comes back as street."""

    def require(self, origin: str, target: str) -> None:
        if {origin, target} != {"en", "es"}:
            raise UsageFault(f"no pair from {origin} to {target}")


class SayTheSame(WordByWord):
    """Translates every text to one sentence plus the text's emoji, so that rows get the same text."""

    def translate(self, texts: Sequence[str], origin: str, target: str) -> list[str]:
        return [" ".join(["hoy yo estaba en casa con el libro", *MARK.findall(text)]) for text in texts]


def files(data: Path) -> dict[str, bytes]:
    paths = (path for path in data.rglob("*") if path.is_file())
    return {p.relative_to(data).as_posix(): p.read_bytes() for p in paths if p.relative_to(data).parts[0][0] != "."}
