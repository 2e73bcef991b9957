"""A plan: the pairs that one engine translates, and how many rows of which subsets; a YAML file, checked key by key.

data_build/plans/ holds two plans that balance the languages of the default mix, each with the calculation behind it.
"""

from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, NonNegativeInt, PositiveInt

from data_build.config import known, read_yaml
from data_build.translate import ENGINES, ROUND_TRIP
from data_build.translate.languages import languages
from data_build.translate.rows import Order, has_text
from mmafflm.benchmark.benchmark import benchmark, choose_subsets
from mmafflm.errors import UsageFault

# YAML reads an unquoted `no` as false
Language = Annotated[str, BeforeValidator(lambda code: "no" if code is False else code)]


class Pair(BaseModel):
    """From one language into another. rows: for each subset, the maximum of training and of validation rows, each."""

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
    """Read a plan. Raises UsageFault, with the key, for a wrong value."""
    plan = read_yaml(TranslationPlan, path)
    known(path, "engine", [plan.engine], ENGINES)
    texts = [name for name in benchmark() if has_text(name)]
    for number, pair in enumerate(plan.pairs):
        known(path, f"pairs.{number}.rows", pair.rows, texts)
        languages(pair.origin, f"{path}: pairs.{number}.from")
        languages(pair.to, f"{path}: pairs.{number}.to")
    return plan


class OrderOptions(NamedTuple):
    """The command line's options that replace a plan; None: the option is not used."""

    to: str | None
    engine: str | None
    origin: str | None
    subsets: str | None
    limit: int | None


class TranslationOrder(NamedTuple):
    """What to translate, with which engine and model, and how many rows of a pair to translate back."""

    engine: str
    model: str | None
    round_trip: int
    orders: list[Order]


def plan_or_options(path: Path | None, options: OrderOptions) -> TranslationOrder:
    """The order of a plan, or of the command line's options.

    Raises UsageFault when both are used, or neither, and for a wrong value.
    """
    if path:
        if any(one is not None for one in options):
            raise UsageFault(
                f"--plan {path}: the plan sets engine, pairs and rows. Leave out --to, --engine, --from and the like."
            )
        plan = load_plan(path)
        return TranslationOrder(plan.engine, plan.model, plan.round_trip, plan.orders)
    if not (options.to and options.engine):
        raise UsageFault("translate needs --to and --engine, or --plan FILE.")
    names = [subset.name for subset in choose_subsets(options.subsets)]
    order = Order(names, languages(options.origin or "en", "--from"), languages(options.to, "--to"), options.limit)
    return TranslationOrder(options.engine, None, ROUND_TRIP, [order])
