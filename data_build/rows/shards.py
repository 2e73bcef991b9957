"""Rows of a corpus that have been read but not yet chosen: frames on disk, written by workers, read shard by shard.

Everything under DATA/.work can be deleted. A part's folder gets its final name only when the whole part has been read.
So the next build after an interruption reads only the parts that are missing.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from data_build.config import SplitSizes
from data_build.media.journal import Taken
from data_build.reading.corpus import Corpus, PartRows, RawPart
from data_build.rows.coverage import PartCount
from data_build.rows.select import KEYS, OVER_CAP, SplitChoice, select, text_key
from mmafflm.files.writing import make_folder, writing

# Strings that LLaMA-Factory or the tokenizer treats as media or as the end of a turn, anywhere in a prompt.
CONTROL = r"<image>|<video>|<audio>|<\|[a-z_]+\|>"
TAKEN = pl.Schema({"media": pl.String(), "digest": pl.String(), "files": pl.List(pl.String()), "reason": pl.String()})
CATEGORIES = ("subset", "task", "emotion", "language", "split", "gold")


def read_part(corpus: Corpus, part: RawPart, options: dict[str, Any], subsets: list[str], folder: Path) -> None:
    """Read one part into `folder`: examples as 00000.parquet, ..., unusable rows as bad-00000.parquet.

    Rows of other subsets are dropped. Raises Fault when the part is damaged, and as PartCount.check does; the folder is
    then not made.
    """
    partial = partial_of(folder)
    shutil.rmtree(partial, ignore_errors=True)
    make_folder(partial)
    count = PartCount(corpus.name, part, subsets)
    try:
        with writing(folder, full_only=True):
            for number, rows in enumerate(corpus.read(part, options)):
                _write_rows(count.add(rows), partial, number)
        count.check()
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def partial_of(folder: Path) -> Path:
    """The folder into which a part is written until it is complete."""
    return folder.with_name(f".{folder.name}.partial")


def _write_rows(rows: PartRows, folder: Path, number: int) -> None:
    """Write examples and unusable rows. An example whose text holds a control token is written as an unusable row."""
    controls = pl.col("text").str.contains(CONTROL)
    examples = rows.examples.filter(~controls).with_columns(key=_key(rows.examples.columns))
    examples.write_parquet(folder / f"{number:05}.parquet", compression="lz4")
    refused = rows.examples.filter(controls).select(
        "source",
        reason=pl.lit("text holds a control token of the model"),
        detail=pl.col("text").str.slice(0, 200),
        subset="subset",
        split="split",
        unknown=pl.lit(None, pl.String),
    )
    bad = pl.concat([rows.bad, refused])
    if bad.height:
        bad.write_parquet(folder / f"bad-{number:05}.parquet", compression="lz4")


def _key(columns: list[str]) -> pl.Expr:
    """The key of each row's text. A release's translation gets a unique key: it was checked for copies when made."""
    text = pl.col("text")
    if "translated_from" in columns:
        itself = pl.concat_str(text, pl.coalesce("id", "source"), separator="\0")
        text = pl.when(pl.col("translated_from").is_null()).then(text).otherwise(itself)
    return text_key(text)


@dataclass(frozen=True)
class Shards:
    """The examples of all parts in reading order, each with what was stored of its picture or clip.

    `taken` has the columns of TAKEN, a row for each picture or clip that was opened; None when all rows are text or
    nothing has been opened yet.
    """

    paths: list[Path]
    taken: pl.DataFrame | None = None
    notes: dict[str, str] = field(default_factory=dict)  # raw file -> what had to be done to open it

    def frames(self, *columns: str) -> Iterator[pl.DataFrame]:
        """Yield each shard with those columns, `reason` (null: usable) and, for pictures and clips, TAKEN's columns."""
        for path in self.paths:
            frame = pl.read_parquet(path, columns=sorted({*columns, "media"}))
            if self.taken is None:
                frame = frame.with_columns(reason=pl.lit(None, pl.String), files=pl.lit(None, TAKEN["files"]))
                same_media = "media"  # not opened yet, so pictures are the same only if their JSON is
            else:
                # with a limit, some pictures are not opened
                unopened = pl.col("digest").is_null() & pl.col("reason").is_null()
                frame = frame.join(self.taken, on="media", how="left", maintain_order="left")
                frame = frame.with_columns(reason=pl.when(unopened).then(pl.lit(OVER_CAP)).otherwise("reason"))
                same_media = "digest"
            if "key" in columns and frame["media"].null_count() < frame.height:
                # the same words with another picture count as another text
                frame = frame.with_columns(key=pl.struct("key", same_media).hash(seed=0))
            yield frame

    def rows(self) -> int:
        """The number of all examples, usable or not."""
        return sum(pl.scan_parquet(path).select(pl.len()).collect().item() for path in self.paths)


def find_shards(folders: list[Path]) -> Shards:
    """The shards that read_part wrote."""
    return Shards([path for folder in folders for path in sorted(folder.glob("[0-9]*.parquet"))])


def taken_frame(taken: dict[str, Taken]) -> pl.DataFrame:
    """A table of what was stored of each picture and clip. `digest`: the first file's name, which is made of a hash."""
    rows = [
        (text, one.files[0][0] if one.files else None, [name for name, _, _ in one.files], one.reason or None)
        for text, one in taken.items()
    ]
    return pl.DataFrame(rows, TAKEN, orient="row")


def wanted_media(shards: Shards, splits: dict[str, SplitSizes], seed: int, limit: int | None) -> list[str]:
    """The pictures and clips to open, each as JSON of a RawMedia; with a limit, only those of the rows it keeps."""
    media = [pl.read_parquet(path, columns=["media"])["media"] for path in shards.paths]
    if not media or (all_media := pl.concat(media)).null_count() == len(all_media):
        return []
    if limit is not None:
        all_media = all_media.filter(select(read_keys(shards), splits, seed, limit).to.is_not_null())
    return sorted(all_media.drop_nulls().unique())


def choose(shards: Shards, splits: dict[str, SplitSizes], seed: int, limit: int | None) -> SplitChoice:
    """Run select() on the usable rows. With a limit, rows stay in the splits drawn before their media were opened.

    With a limit only the media of chosen rows are opened, and splits drawn from these few rows would be different.
    """
    keys = read_keys(shards)
    if limit is not None and shards.taken is not None and keys.height:
        drawn = select(read_keys(Shards(shards.paths)), splits, seed, limit).to
        usable = pl.concat([frame["reason"].is_null() for frame in shards.frames()])
        keys = keys.with_columns(split=drawn.filter(usable))
    return select(keys, splits, seed, limit)


def read_keys(shards: Shards) -> pl.DataFrame:
    """The key columns of all usable examples in reading order; as categories, so that six million rows stay small."""
    frames = [
        frame.filter(pl.col("reason").is_null()).select(KEYS).with_columns(pl.col(*CATEGORIES).cast(pl.Categorical))
        for frame in shards.frames(*KEYS)
    ]
    if not frames:
        return pl.DataFrame(schema={**dict.fromkeys(CATEGORIES, pl.Categorical), "key": pl.UInt64})
    return pl.concat(frames, rechunk=True)


def numbers(shards: Shards) -> pl.Series:
    """Each usable row's number within its id group.

    All rows that were read are counted, so caps and unreadable files do not change the number.
    """
    group = ["subset", "task", "emotion", "language"]
    frames = [frame.select("reason", pl.col(group).cast(pl.Categorical)) for frame in shards.frames(*group)]
    if not frames:
        return pl.Series("n", [], pl.UInt32)
    rows = pl.concat(frames).with_columns(n=pl.int_range(pl.len(), dtype=pl.UInt32).over(group))
    return rows.filter(pl.col("reason").is_null())["n"]
