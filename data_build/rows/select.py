"""Decide the split of each row: draw splits for corpora without their own, drop duplicates and leaks, apply caps.

This works on keys instead of texts (some 40 bytes a row), so that the six million rows of MMS fit in memory.
"""

from typing import NamedTuple

import numpy as np
import polars as pl

from data_build.config import SplitSizes
from mmafflm.records import SPLITS
from mmafflm.sampling import draw

# Columns of the keys, which have one row for each example read, in reading order.
KEYS = ("subset", "task", "emotion", "language", "split", "gold", "key")
STRATUM = ["subset", "language", "task", "emotion", "gold"]  # samples are proportional over these
GROUP = ["subset", "language", "task", "emotion"]  # the same text is the same question only within such a group
SHARE = ["subset", "language"]  # the config's sizes apply to each of these
NO_CAP = 2**40

LEAK = "text is also in a test or validation set of the same corpus"
CONFLICT = "same text with different labels"
DUPLICATE = "same text and label as an earlier row"
OVER_CAP = "over the cap of the build config"
TO = pl.Enum(SPLITS)
REASON = pl.Enum([LEAK, CONFLICT, DUPLICATE, OVER_CAP])


class SplitChoice(NamedTuple):
    """`to`: train, val or test, null for a row that is not kept; `reason`: why it is not kept, null for a kept row."""

    to: pl.Series
    reason: pl.Series


def text_key(text: pl.Expr) -> pl.Expr:
    """A 64-bit key of the normalized text: NFKC, lower case, white space folded.

    Two texts with the same key are treated as equal; among six million texts the chance of any collision is one in a
    million. Keys are compared only within one build and never stored in its output.
    """
    return folded(text).hash(seed=0)


def folded(text: pl.Expr) -> pl.Expr:
    """The normalized text."""
    return text.str.normalize("NFKC").str.to_lowercase().str.replace_all(r"\s+", " ").str.strip_chars(" ")


def select(keys: pl.DataFrame, splits: dict[str, SplitSizes], seed: int, limit: int | None = None) -> SplitChoice:
    """Decide the split of every row of a corpus. keys: columns KEYS, in reading order. limit: most rows of each split.

    Without `limit`, a corpus's own test and validation sets are kept complete. Rows without a split are deduplicated
    first, and then drawn stratified by label within each language: test, validation, training.
    """
    strata = _strata(keys)
    rows = _coded(keys, strata, seed)
    del keys  # frees a fifth of a gigabyte for six million rows, because the caller does not keep them either
    rows = _drop_duplicates(rows)
    rows = _drop_copies_of_tests(rows)
    rows = _split_pool(rows, strata, splits)
    rows = _drop_leaks(rows)
    rows = _cap(rows, _size(strata, splits, "train", NO_CAP))
    if limit is not None:
        rows = _limit(rows, limit, seed)
    rows = rows.sort("row")
    return SplitChoice(rows["to"], rows["reason"])


def _strata(keys: pl.DataFrame) -> pl.DataFrame:
    """A table of all strata with numbers for each stratum and its wider groups; thousands of rows, not millions."""
    strata = keys.select(STRATUM).unique().cast(pl.String).sort(STRATUM)
    numbered = strata.with_row_index("stratum").with_columns(
        group=pl.struct(GROUP).rank("dense"), share=pl.struct(SHARE).rank("dense"), part=pl.col("subset").rank("dense")
    )
    small = pl.UInt16 if strata.height < 1 << 16 else pl.UInt32  # small, because they are stored for every row of MMS
    return numbered.with_columns(pl.col("stratum", "group", "share", "part").cast(small))


def _coded(keys: pl.DataFrame, strata: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Replace names by numbers, and sort the rows once by stratum and random rank, the order that every draw needs."""
    names = strata.select(
        *(pl.col(name).cast(keys.schema[name]) for name in STRATUM), "stratum", "group", "share", "part"
    )
    numbers = (
        keys.select(STRATUM)
        .join(names, on=STRATUM, how="left", nulls_equal=True, maintain_order="left")
        .select("stratum", "group", "share", "part")
    )
    rows = keys.select(
        "key", *numbers, _rank(keys.height, seed),
        pl.col("split").cast(TO).alias("to"), pool=pl.col("split").is_null(), reason=pl.lit(None, REASON),
    )  # fmt: skip
    return rows.with_row_index("row").sort("stratum", "rank").drop("rank")


def _size(strata: pl.DataFrame, splits: dict[str, SplitSizes], which: str, default: int) -> pl.Expr:
    """The configured size for each share of a row's subset; `default` where the config sets none."""
    sizes = {name: getattr(split, which) for name, split in splits.items()}
    shares = dict(strata.select("share", "subset").unique().iter_rows())
    found = {share: default if (size := sizes.get(subset)) is None else size for share, subset in shares.items()}
    return pl.col("share").replace_strict(found, return_dtype=pl.Int64)


def _rank(height: int, seed: int) -> pl.Series:
    """A pseudo-random number for each row: splitmix64 of its position, so that it is the same on every machine."""
    with np.errstate(over="ignore"):
        z = np.arange(height, dtype=np.uint64) + np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            z ^= z >> np.uint64(shift)
            z *= np.uint64(factor)
    z ^= z >> np.uint64(31)
    return pl.Series("rank", z)


def _drop_duplicates(rows: pl.DataFrame) -> pl.DataFrame:
    """Drop duplicates among training rows and rows without a split; a corpus's own test and validation keep theirs."""
    same = ["group", "to", "key"]
    movable = rows.filter(pl.col("pool") | (pl.col("to") == "train")).select(*same, "stratum", "row")
    twice = movable.filter(_repeated(movable.select(pl.struct(same).hash(seed=0)).to_series())).with_columns(
        conflict=pl.col("stratum").n_unique().over(same) > 1, first=pl.col("row").min().over(same) == pl.col("row")
    )
    for reason, out in (
        (CONFLICT, twice.filter("conflict")),
        (DUPLICATE, twice.filter(~pl.col("conflict") & ~pl.col("first"))),
    ):
        rows = _take_out(rows, pl.col("row").is_in(out["row"].implode()), reason)
    return rows


def _repeated(numbers: pl.Series) -> pl.Series:
    """True for numbers that occur more than once. We sort: a hash table for six million rows takes 0.3 GB more."""
    values = numbers.to_numpy()
    order = np.argsort(values)
    same = values[order[1:]] == values[order[:-1]]
    twice = np.zeros(len(values), dtype=bool)
    twice[order[1:][same]] = twice[order[:-1][same]] = True
    return pl.Series("twice", twice)


def _take_out(rows: pl.DataFrame, which: pl.Expr, reason: str) -> pl.DataFrame:
    return rows.with_columns(
        to=pl.when(~which).then("to"), reason=pl.when(which).then(pl.lit(reason, REASON)).otherwise("reason")
    )


def _draw(rows: pl.DataFrame, share_of: list[str], most: pl.Expr, where: pl.Expr) -> pl.Series:
    """True for `most` rows of each `share_of` group, of those where `where` is true, proportionally over strata.

    Systematic sampling: rows are ordered by stratum and random rank, and row i of n is drawn when floor((i+1)*m/n)
    exceeds floor(i*m/n). So exactly m rows are drawn, and each stratum gets its share to within one row.
    """
    index, count = pl.int_range(pl.len(), dtype=pl.Int64).over(share_of), pl.len().over(share_of).cast(pl.Int64)
    free = rows.with_row_index("place").filter(where).select("place", *share_of, most=most.cast(pl.Int64))
    wanted = pl.min_horizontal("most", count)
    drawn = free.filter((index + 1) * wanted // count > index * wanted // count)["place"]
    chosen = np.zeros(rows.height, dtype=bool)
    chosen[drawn.to_numpy()] = True
    return pl.Series("drawn", chosen)


def _split_pool(rows: pl.DataFrame, strata: pl.DataFrame, splits: dict[str, SplitSizes]) -> pl.DataFrame:
    free = pl.col("pool") & pl.col("to").is_null() & pl.col("reason").is_null()
    usable = dict(rows.filter(free).group_by("share").len().iter_rows())
    for into, part in (("test", 4), ("val", 10)):  # at most a quarter of the rows become test, a tenth validation
        share = {name: count // part for name, count in usable.items()}
        small = pl.col("share").replace_strict(share, default=0, return_dtype=pl.Int64)
        drawn = _draw(rows, ["share"], pl.min_horizontal(_size(strata, splits, into, 0), small), free)
        rows = rows.with_columns(to=pl.when(drawn).then(pl.lit(into, TO)).otherwise("to"))
    return rows.with_columns(to=pl.when(free).then(pl.lit("train", TO)).otherwise("to"))


def _drop_copies_of_tests(rows: pl.DataFrame) -> pl.DataFrame:
    """Drop rows without a split that also occur in a test of the same corpus, so that none gets into validation."""
    tests = rows.filter(pl.col("to") == "test")["key"].unique()
    copy = pl.col("pool") & pl.col("reason").is_null() & pl.col("key").is_in(tests.implode())
    return _take_out(rows, copy, LEAK)


def _drop_leaks(rows: pl.DataFrame) -> pl.DataFrame:
    held_out = rows.filter(pl.col("to").is_in(["test", "val"]))["key"].unique()
    leak = (pl.col("to") == "train") & pl.col("key").is_in(held_out.implode())
    return _take_out(rows, leak.fill_null(False), LEAK)


def _cap(rows: pl.DataFrame, size: pl.Expr) -> pl.DataFrame:
    train = (pl.col("to") == "train").fill_null(False)
    return _take_out(rows, train & ~pl.lit(_draw(rows, ["share"], size, train)), OVER_CAP)


def _limit(rows: pl.DataFrame, limit: int, seed: int) -> pl.DataFrame:
    """Keep at most `limit` rows of each subset and split, by sampling.draw; a row's random number ranks it."""
    kept = pl.col("to").is_not_null()
    places = _rank(rows.height, seed).to_numpy()[rows["row"].to_numpy()]
    chosen = np.zeros(rows.height, dtype=bool)
    for part in rows.with_row_index("at").filter(kept).partition_by("part", "to"):
        at = part["at"].to_numpy()
        chosen[at[draw(part["group"].to_numpy(), places[at], limit)]] = True
    return _take_out(rows, kept & ~pl.lit(pl.Series("drawn", chosen)), OVER_CAP)
