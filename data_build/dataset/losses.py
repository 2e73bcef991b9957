"""What would be lost if another build replaced a finished one. `mmaffin build` refuses to lose it without --replace."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from data_build.dataset.inputs import BuildPlan
from mmafflm.dataset import MANIFEST
from mmafflm.errors import UsageFault


class _Split(BaseModel):
    rows: int
    raw: dict[str, Any] = {}  # raw file -> its SHA-256


class _Mix(BaseModel):
    rows: int
    seed: int | None = None
    asked: dict[str, int] | None = None
    most_translated: float | None = None
    only_languages: list[str] | None = None


class _Release(BaseModel):
    origin: list[str] = Field(alias="from")


class _Translation(BaseModel):
    rows_kept: int


class Finished(BaseModel):
    """The parts of a finished build's manifest that decide whether something would be lost."""

    subsets: dict[str, dict[str, _Split]]
    config: dict[str, Any]
    limit: int | None = None
    raw_video: bool | None = None  # None: an older build, whose manifest does not record it
    mix: _Mix
    release: _Release | None = Field(None, alias="import")
    translation: _Translation | None = None

    def rows(self, subset: str) -> int:
        """The rows of a subset, over its splits."""
        return sum(split.rows for split in self.subsets[subset].values())


def require_no_loss(plan: BuildPlan) -> None:
    """Raises UsageFault if the finished build in DATA has anything that the plan would not make again."""
    if lost := losses(plan):
        raise UsageFault(
            f"{plan.data}: holds a finished build, and this command would replace it. It would lose "
            f"{'; '.join(lost)}. Choose another --out, or pass --replace to replace it."
        )


def losses(plan: BuildPlan) -> list[str]:
    """What the finished build in DATA has and the plan would not make again, as a list of phrases.

    Nothing is lost if the plan adds a corpus, raw file or row, or if a raw file has changed.
    """
    try:
        old = Finished.model_validate_json((plan.data / MANIFEST).read_bytes())
    except ValidationError:
        return [f"unknown contents, because {MANIFEST} cannot be read"]
    return [*_subsets(old, plan), *_raw_files(old, plan), *_choices(old, plan), *_additions(old, plan)]


def _subsets(old: Finished, plan: BuildPlan) -> Iterator[str]:
    if gone := [name for name in old.subsets if name not in plan.subsets]:
        yield "the subsets " + ", ".join(f"{name} ({old.rows(name):,} rows)" for name in gone)


def _raw_files(old: Finished, plan: BuildPlan) -> Iterator[str]:
    """Raw files that no longer exist, for subsets that are built again."""
    here = {file.name for source in plan.sources for file in source.files}
    read = {name for subset in plan.subsets for split in old.subsets.get(subset, {}).values() for name in split.raw}
    if gone := sorted(read - here):
        more = f" and {len(gone) - 3} more" if len(gone) > 3 else ""
        yield f"the rows of {', '.join(gone[:3])}{more}, no longer among the raw files"


def _choices(old: Finished, plan: BuildPlan) -> Iterator[str]:
    """Rows and stored media that depended on another config or other flags."""
    now = plan.config.model_dump(mode="json")
    # a key that the older config lacks is not compared: it did not influence that build
    differ = [name for key in old.config if key in now for name in _differ(key, old.config[key], now[key])]
    if mix := [name for name in differ if name.partition(".")[0] in ("mix", "most_translated")]:
        yield f"the training mix of {old.mix.rows:,} rows, drawn with another config ({', '.join(mix)})"
    if others := [name for name in differ if name not in mix]:
        rows = sum(map(old.rows, old.subsets))
        yield f"the {rows:,} rows, made with another config ({', '.join(others)})"
    if plan.limit is not None and (old.limit is None or old.limit > plan.limit):
        yield f"the rows beyond --limit {plan.limit} (its own limit: {old.limit or 'none'})"
    if old.raw_video is not None and old.raw_video != plan.raw_video:
        yield "its clips as files (--raw-video)" if old.raw_video else "the frames of its clips (for --raw-video)"


def _differ(key: str, before: Any, now: Any) -> list[str]:
    """The keys whose values differ, as section.key if the value is a section, otherwise as the key alone."""
    if isinstance(before, dict) and isinstance(now, dict):
        return [f"{key}.{name}" for name in {**before, **now} if before.get(name) != now.get(name)]
    return [key] if before != now else []


def _additions(old: Finished, plan: BuildPlan) -> Iterator[str]:
    """What came from another origin (raw corpora or a release), and the results of `translate` and `mix`."""
    origin = old.release.origin if old.release else None
    if origin != plan.origin:
        yield f"what was imported from {', '.join(origin)}" if origin else "what was built from raw corpora"
    if old.translation:
        yield f"{old.translation.rows_kept:,} translated rows (mmaffin translate makes them again)"
    drawn = (old.mix.seed, old.mix.asked, old.mix.most_translated)
    if old.mix.only_languages or drawn != tuple(old.config.get(name) for name in ("seed", "mix", "most_translated")):
        yield f"the training mix of {old.mix.rows:,} rows that mmaffin mix drew"
