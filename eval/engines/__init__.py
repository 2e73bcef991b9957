"""Engines answer prompts with texts. Each engine is a folder here, imported only when it is used.

`hf` runs a checkpoint with transformers on this machine, `vllm` runs it with vLLM's offline engine, and `openai` sends
requests to a server.
"""

from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

from mmafflm.errors import UsageFault
from mmafflm.media.budget import Budget

ENGINES = {  # name: the command that installs what the engine needs
    "hf": "make setup",
    "vllm": "make setup-vllm, and then .venv-vllm/bin/mmaffben in place of mmaffben",
    "openai": "pip install -c constraints.txt -e .",
}

Answers = list[tuple[int, str]]
"""(position of the question, raw text of the answer), in the order of their arrival."""

Likelihoods = list[tuple[int, list[float]]]
"""(position of the question, natural logarithm of each candidate's probability), in the order of their arrival."""


class Question(NamedTuple):
    """A record without its answer. Media are files below DATA; a clip is a tuple of frames, or one file."""

    prompt: str
    images: tuple[str, ...] = ()
    videos: tuple[str | tuple[str, ...], ...] = ()
    blank: bool = False  # replace the media by grey pictures


class Engine(Protocol):
    """What `predict` needs from an engine."""

    name: str

    def accepts(self) -> tuple[str, ...]:
        """Which of "text", "image" and "video" the model accepts. May be called before `load`."""
        ...

    def load(self) -> None:
        """Get ready to answer. Called before `tokens`, `answer` and `likelihoods`, unless no question is left.

        A second call does nothing: one engine may serve several runs.
        """
        ...

    def tokens(self, text: str) -> int:
        """The number of tokens that `text` has as an answer."""
        ...

    def answer(
        self, questions: Sequence[Question], wanted: Sequence[int], most_tokens: int, batch_size: int
    ) -> Iterator[Answers]:
        """Answer questions[i] for every i in `wanted` with at most `most_tokens` tokens, a batch at a time.

        `questions` are all questions of one task (and emotion), so their shared beginning does not depend on `wanted`.
        """
        ...

    def likelihoods(
        self, questions: Sequence[Question], wanted: Sequence[int], candidates: Sequence[str], batch_size: int
    ) -> Iterator[Likelihoods]:
        """ln P(candidate's tokens, then the end of the turn | questions[i]) for every i in `wanted`, a batch at a time.

        A row has one number for each candidate, in the order of `candidates`. `questions` as for `answer`. An engine
        that cannot compute likelihoods raises UsageFault at the call itself.
        """
        ...

    def describe(self) -> dict[str, object]:
        """The engine's entries for run.json: decoding and dtype; checkpoint and weights, if the engine knows them.

        They replace predict's own entries of the same name. Called without `load` when no question is left.
        """
        ...


@runtime_checkable
class Metered(Protocol):
    """An engine whose answers cost money."""

    def spent(self) -> dict[str, float]:
        """The costs since the last call, as numbers that can be summed: requests, tokens, USD."""
        ...


@runtime_checkable
class Tried(Protocol):
    """An engine that can check whether its model can answer at all."""

    def try_out(self, questions: Sequence[Question], weighed: bool = False) -> None:
        """Try these questions, one of each modality, after `load`. Raises Fault when the model cannot answer them.

        weighed: the run also needs likelihoods.
        """
        ...


def make_engine(name: str, ckpt: str, dtype: str, root: Path, budget: Budget, options: dict[str, str]) -> Engine:
    """The engine NAME for a checkpoint; nothing is loaded yet.

    ckpt: a folder or hub id; for openai the name of a model at the endpoint. root: the folder of the questions' media.
    options: the engine's own, by name. `make` in eval/engines/NAME/engine.py has these arguments without the name.
    Raises UsageFault for an unknown engine or option and a package that is not installed, Fault for a bad checkpoint.
    """
    if name not in ENGINES:
        raise UsageFault(f"--engine {name}: not one of {', '.join(ENGINES)}")
    try:
        module = import_module(f"eval.engines.{name}.engine")
    except ModuleNotFoundError as error:
        raise UsageFault(f"--engine {name} needs {error.name}, which is not installed. Run: {ENGINES[name]}") from None
    made: Engine = module.make(ckpt, dtype, root, budget, options)
    return made
