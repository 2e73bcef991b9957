"""Translation engines: each translates texts from one language into another."""

from collections.abc import Sequence
from typing import Protocol

from data_build.translate import ENGINES
from data_build.translate.apertium import Apertium
from data_build.translate.nllb import Nllb
from data_build.translate.openai import OpenAi
from mmafflm.errors import UsageFault


class TranslationEngine(Protocol):
    """A translator. `batch`: texts per call; `workers`: useful number of calls at the same time."""

    name: str
    batch: int
    workers: int

    def require(self, origin: str, target: str) -> None:
        """Raises UsageFault when the engine cannot translate from origin to target; the message says what it can."""

    def model(self, origin: str, target: str) -> str:
        """The model's name."""

    def version(self, origin: str, target: str) -> str:
        """A text that changes when anything besides the model changes that affects the translations of this pair."""

    def translate(self, texts: Sequence[str], origin: str, target: str) -> list[str]:
        """Translate each text to one line, in order. Raises Fault when it fails."""


def make_engine(name: str, model: str | None) -> TranslationEngine:
    """The engine with that name. Raises UsageFault for an unknown name, and when it needs a model, or needs none."""
    if name not in ENGINES:
        raise UsageFault(f"--engine {name}: not one of {', '.join(ENGINES)}")
    if name == "nllb":
        return Nllb(model)
    if name == "openai":
        return OpenAi(model)
    if model is not None:
        raise UsageFault("--model: apertium has no choice of models; it uses the pair's Debian package. Leave it out.")
    return Apertium()
