"""What is asked of vLLM: the types that the engine and its weighing of candidates share."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

from eval.engines import Question

# A prompt as Asks.ready makes it, and SamplingParams.
Request = tuple[dict[str, Any], Any]
Asked = TypeVar("Asked")


class Asks(Protocol):
    """What a readout needs of VllmEngine; the docstrings are there. end: the token that ends a turn."""

    end: int

    def prompt(self, question: Question) -> dict[str, Any]: ...

    def ready(self, prompt: dict[str, Any]) -> dict[str, Any]: ...

    def sampling(self, **given: Any) -> Any: ...

    def run(self, asked: deque[Asked], request: Callable[[Asked], Request]) -> Iterator[list[tuple[Asked, Any]]]: ...
