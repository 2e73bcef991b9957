"""Translation engines: they take texts of one pair of languages and return their translations."""

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
        """Raises UsageFault, naming the pairs that exist, when the engine cannot translate from origin to target."""

    def model(self, origin: str, target: str) -> str:
        """The model's name."""

    def version(self, origin: str, target: str) -> str:
        """Whatever else decides the translations of this pair, besides the model."""

    def translate(self, texts: Sequence[str], origin: str, target: str) -> list[str]:
        """Translate each text to one line, in order. Raises Fault when it fails."""


def make_engine(name: str, model: str | None) -> TranslationEngine:
    """The engine with that name. Raises UsageFault for an unknown name, or a model that the engine does not take."""
    if name not in ENGINES:
        raise UsageFault(f"--engine {name}: not one of {', '.join(ENGINES)}")
    if name == "nllb":
        return Nllb(model)
    if name == "openai":
        return OpenAi(model)
    if model is not None:
        raise UsageFault("--model: apertium has one for each pair, its Debian package; leave it out")
    return Apertium()
