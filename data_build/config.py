"""The build config: one YAML file, checked key by key. data_build/default.yaml is the default."""

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    TypeAdapter,
    ValidationError,
)

from data_build.corpora.find import corpora
from data_build.ids import FROM
from data_build.reading.corpus import NO_LANGUAGE
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.errors import UsageFault
from mmafflm.files import documents
from mmafflm.media.budget import Budget

MOST_TRANSLATED = 0.5  # largest share of translated rows in a subset's part of the mix
SHIPPED = Path(str(files("data_build").joinpath("default.yaml")))
Share = Annotated[float, Field(ge=0, le=1)]
T = TypeVar("T", bound=BaseModel)


class SplitSizes(BaseModel):
    """Rows for a subset without its own split: for each language if it has several, otherwise in total."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    test: NonNegativeInt
    val: NonNegativeInt
    train: NonNegativeInt | None = None  # None: all remaining rows


class Leaks(BaseModel):
    """When a training row counts as a copy of a test row (data_build/leaks/leaks.py)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    remove: bool = True  # put copies into the quarantine; False only reports them
    similarity: PositiveFloat = 0.7  # of texts: the share of character trigrams that both have
    shortest: NonNegativeInt = 20  # characters; shorter texts, such as "Oh my God!", recur without being copied
    picture_bits: Annotated[int, Field(ge=0, le=3)] = 3  # difference hashes may differ in so many of their 64 bits
    picture_levels: PositiveFloat = 4.0  # 64 x 64 grey pictures may differ by so many of 255 levels on average, or
    picture_shift: NonNegativeFloat = 1.0  # by so many times what moving the test's picture by a pixel makes


def shipped_budget() -> Budget:
    """The budget of data_build/default.yaml, used by a config that sets none."""
    return TypeAdapter(Budget).validate_python(documents.read_yaml(SHIPPED)["budget"])


def default_splits() -> dict[str, SplitSizes]:
    """The split sizes that the corpora's files give for subsets without their own split."""
    found = {name: size for corpus in corpora().values() for name, size in corpus.splits.items()}
    return {name: SplitSizes(**found[name]) for name in benchmark() if name in found}


def default_mix() -> dict[str, int]:
    """How many rows of each subset the training mix has, according to the corpora's files."""
    found = {name: rows for corpus in corpora().values() for name, rows in corpus.mix.items()}
    return {name: found[name] for name in benchmark() if name in found}


class Config(BaseModel):
    """Everything a build depends on apart from the raw files and the command's options."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: NonNegativeInt
    corpora: dict[str, dict[str, Any]] = {}
    splits: dict[str, SplitSizes] = Field(default_factory=default_splits)
    budget: Budget = Field(default_factory=shipped_budget)
    leaks: Leaks = Leaks()
    mix: dict[str, NonNegativeInt] = Field(default_factory=default_mix)
    most_translated: Share = MOST_TRANSLATED  # largest share of translated rows in a subset's part of the mix


class MixFile(BaseModel):
    """Another training mix over the same build: a seed, rows of each subset, and filters."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: NonNegativeInt
    mix: dict[str, NonNegativeInt] | None = None  # None: the numbers of the build's own config
    modalities: list[str] | None = None  # text, image, video; None: all
    languages: list[str] | None = None  # as in records, such as en; "es<-en": only its translations; None: all
    most_translated: Share = MOST_TRANSLATED  # as in Config; translations fill what a language's originals cannot


def load_config(path: Path | None) -> Config:
    """Read a build config, the default one when path is None. Raises UsageFault naming the key that is wrong."""
    config = read_yaml(Config, path or SHIPPED)
    for where, names, allowed in (
        ("corpora", config.corpora, corpora()),
        ("splits", config.splits, benchmark()),
        ("mix", config.mix, benchmark()),
    ):
        known(path, where, names, allowed)
    for name, options in config.corpora.items():
        known(path, f"corpora.{name}", options, corpora()[name].options)
    return config


def load_mix(path: Path) -> MixFile:
    """Read a mix file. Raises UsageFault naming the key that is wrong."""
    mix = read_yaml(MixFile, path)
    subsets = benchmark().values()
    for where, names, allowed in (
        ("mix", mix.mix, list(benchmark())),
        ("modalities", mix.modalities, list(dict.fromkeys(subset.modality for subset in subsets))),
        (
            "languages",
            [one for name in mix.languages or () for one in name.split(FROM)],
            sorted({NO_LANGUAGE, *(one for subset in subsets for one in subset.languages)}),
        ),
    ):
        known(path, where, names or (), allowed)
    return mix


def known(path: Path | None, where: str, names: Any, allowed: Any) -> None:
    """Raises UsageFault naming those of `names`, found under the key `where`, that are not allowed."""
    if unknown := [name for name in names if name not in allowed]:
        raise UsageFault(f"{path}: {where}: {', '.join(unknown)} is not one of {', '.join(allowed)}")


def read_yaml(kind: type[T], path: Path) -> T:
    """Read a YAML file into the given model. Raises UsageFault naming the key that is wrong."""
    try:
        return kind.model_validate(documents.read_yaml(path))
    except ValidationError as error:
        unknown = any(one["type"] == "extra_forbidden" and len(one["loc"]) == 1 for one in error.errors())
        allowed = f" Known keys: {', '.join(kind.model_fields)}." if unknown else ""
        raise UsageFault(f"{path}: {documents.first_wrong(error)}.{allowed}") from None
