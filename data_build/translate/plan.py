"""A plan: the pairs that one engine translates, and how many rows of which subsets; a YAML file, checked key by key.

data_build/plans/ holds two plans that balance the languages of the default mix, each with the calculation behind it.
"""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, NonNegativeInt, PositiveInt

from data_build.config import known, read_yaml
from data_build.translate import ENGINES, ROUND_TRIP
from data_build.translate.languages import languages
from data_build.translate.rows import Order, has_text
from mmafflm.benchmark.benchmark import benchmark

# YAML reads an unquoted `no` as false
Language = Annotated[str, BeforeValidator(lambda code: "no" if code is False else code)]


class Pair(BaseModel):
    """From one language into another. rows: for each subset, the most training rows, and as many for validation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    origin: Language = Field(alias="from")
    to: Language
    rows: Annotated[dict[str, PositiveInt], Field(min_length=1)]


class TranslationPlan(BaseModel):
    """The content of FILE in `mmaffin translate --plan FILE`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    engine: str
    model: str | None = None  # like --model, which overrides it
    round_trip: NonNegativeInt = ROUND_TRIP  # like --round-trip, which overrides it
    pairs: Annotated[list[Pair], Field(min_length=1)]

    @property
    def orders(self) -> list[Order]:
        """An order for each pair and subset, with the records' language codes."""
        return [
            Order([subset], languages(pair.origin, "from"), languages(pair.to, "to"), rows)
            for pair in self.pairs
            for subset, rows in pair.rows.items()
        ]


def load_plan(path: Path) -> TranslationPlan:
    """Read a plan. Raises UsageFault naming the key that is wrong."""
    plan = read_yaml(TranslationPlan, path)
    known(path, "engine", [plan.engine], ENGINES)
    texts = [name for name in benchmark() if has_text(name)]
    for number, pair in enumerate(plan.pairs):
        known(path, f"pairs.{number}.rows", pair.rows, texts)
        languages(pair.origin, f"{path}: pairs.{number}.from")
        languages(pair.to, f"{path}: pairs.{number}.to")
    return plan
