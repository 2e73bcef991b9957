"""The build config: a YAML file whose keys and values are checked. data_build/default.yaml is the default."""

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
    """Rows that the build draws for each split of a subset: per language if the subset has several, else in total."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    test: NonNegativeInt
    val: NonNegativeInt
    train: NonNegativeInt | None = None  # None: all remaining rows


class Leaks(BaseModel):
    """When a training row counts as a copy of a test row (data_build/leaks/leaks.py)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    remove: bool = True  # put copies into the quarantine; False only reports them
    similarity: PositiveFloat = 0.7  # smallest share of character trigrams that two texts have in common
    shortest: NonNegativeInt = 20  # characters; shorter texts, such as "Oh my God!", recur without being copied
    picture_bits: Annotated[int, Field(ge=0, le=3)] = 3  # most bits in which two 64-bit difference hashes differ
    picture_levels: PositiveFloat = 4.0  # largest mean difference of two 64 x 64 grey pictures, in levels of 0..255
    picture_shift: NonNegativeFloat = (
        1.0  # if it is larger: this times what moving the test's picture by one pixel makes
    )


def shipped_budget() -> Budget:
    """The budget of data_build/default.yaml, used by a config without a budget."""
    return TypeAdapter(Budget).validate_python(documents.read_yaml(SHIPPED)["budget"])


def default_splits() -> dict[str, SplitSizes]:
    """The split sizes of the subsets for which the build draws splits, from the corpora's files."""
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
    """The file of `mmaffin mix`, for another training mix from the same build: a seed, rows of each subset, filters."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: NonNegativeInt
    mix: dict[str, NonNegativeInt] | None = None  # None: the numbers of the build's own config
    modalities: list[str] | None = None  # text, image, video; None: all
    languages: list[str] | None = None  # "es": with translations into es; "es<-en": only those from en; None: all
    most_translated: Share = MOST_TRANSLATED  # as in Config; translations fill up languages with too few originals


def load_config(path: Path | None) -> Config:
    """Read a build config, by default the shipped one. Raises UsageFault for a wrong file, key or value."""
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
    """Read a mix file. Raises UsageFault when it is unreadable or has a wrong key or value."""
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
    """Raises UsageFault if any of the names under the key `where` is not in `allowed`."""
    if unknown := [name for name in names if name not in allowed]:
        raise UsageFault(f"{path}: {where}: {', '.join(unknown)} is not one of {', '.join(allowed)}")


def read_yaml(kind: type[T], path: Path) -> T:
    """Read a YAML file into the given model. Raises UsageFault when it cannot be read or does not fit the model."""
    try:
        return kind.model_validate(documents.read_yaml(path))
    except ValidationError as error:
        unknown = any(one["type"] == "extra_forbidden" and len(one["loc"]) == 1 for one in error.errors())
        allowed = f" Known keys: {', '.join(kind.model_fields)}." if unknown else ""
        raise UsageFault(f"{path}: {documents.first_wrong(error)}.{allowed}") from None
