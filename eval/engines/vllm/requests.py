"""Requests to vLLM: the types that engine.py and candidates.py share."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

from eval.engines import Question

# The prompt that Asks.ready returns, and its SamplingParams.
Request = tuple[dict[str, Any], Any]
Asked = TypeVar("Asked")


class Asks(Protocol):
    """What candidates.py needs from VllmEngine. end: the token that ends a turn."""

    end: int

    def prompt(self, question: Question) -> dict[str, Any]:
        """A question as vLLM's prompt, with its media."""
        ...

    def ready(self, prompt: dict[str, Any]) -> dict[str, Any]:
        """The prompt with processed media."""
        ...

    def sampling(self, **given: Any) -> Any:
        """vLLM's SamplingParams for greedy decoding."""
        ...

    def run(self, asked: deque[Asked], request: Callable[[Asked], Request]) -> Iterator[list[tuple[Asked, Any]]]:
        """Yield vLLM's outputs as they finish. The caller may append to `asked` meanwhile."""
        ...
