"""Requests to vLLM: the types that engine.py and candidates.py share."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

from eval.engines import Question

# A prompt from Asks.ready, and SamplingParams.
Request = tuple[dict[str, Any], Any]
Asked = TypeVar("Asked")


class Asks(Protocol):
    """What a readout needs from VllmEngine, which has the docstrings. end: the token that ends a turn."""

    end: int

    def prompt(self, question: Question) -> dict[str, Any]: ...

    def ready(self, prompt: dict[str, Any]) -> dict[str, Any]: ...

    def sampling(self, **given: Any) -> Any: ...

    def run(self, asked: deque[Asked], request: Callable[[Asked], Request]) -> Iterator[list[tuple[Asked, Any]]]: ...
