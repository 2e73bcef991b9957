"""Engines: prompts in, texts out. `hf` runs a checkpoint with transformers on this machine."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

Answers = list[tuple[int, str]]
"""(position of the question, raw text of the answer), in the order they came."""


class Question(NamedTuple):
    """What is asked: a record without its answer. Media are files below DATA; a clip is its frames, or one file."""

    prompt: str
    images: tuple[str, ...] = ()
    videos: tuple[str | tuple[str, ...], ...] = ()
    blank: bool = False  # grey in place of what the media show


class Engine(Protocol):
    """What `predict` needs of an engine."""

    name: str

    def load(self) -> None:
        """Make ready to answer; called once, before `tokens` and `answer`, and not when nothing is left to ask."""
        ...

    def tokens(self, text: str) -> int:
        """The number of tokens that `text` costs as an answer."""
        ...

    def answer(
        self, questions: Sequence[Question], wanted: Sequence[int], most_tokens: int, batch_size: int
    ) -> Iterator[Answers]:
        """Answer questions[i] for every i in `wanted` with at most `most_tokens` tokens, a batch at a time.

        `questions` are those of one task, all of them, so that their shared beginning does not depend on what is left.
        """
        ...

    def describe(self) -> dict[str, object]:
        """What run.json keeps of the engine: decoding and dtype."""
        ...
