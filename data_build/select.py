"""Which row goes where: splits for corpora without their own, duplicates and leaks out of training, caps.

Works on keys, not texts (some 40 bytes a row), so that the six million rows of MMS fit in memory.
"""

from typing import NamedTuple

import numpy as np
import polars as pl

from data_build.config import Split

# Columns of the keys: one row for each example read, in reading order.
KEYS = ("subset", "task", "emotion", "language", "split", "gold", "key")
GROUP = ["subset", "task", "emotion", "language"]  # the same text is the same question only within these

GROUP_OF_SHARES = ["subset", "language"]  # sizes of the build config hold for each language
NO_CAP = 2**40

LEAK = "text stands in a test or validation set of the same corpus"
CONFLICT = "same text with different labels"
DUPLICATE = "same text and label as an earlier row"
OVER_CAP = "over the cap of the build config"


class Selection(NamedTuple):
    """`to`: train, val or test, null where the row is not kept; `reason`: why it is not, null where it is kept."""

    to: pl.Series
    reason: pl.Series


def text_key(text: pl.Expr) -> pl.Expr:
    """A 64-bit key of the normalized text: NFKC, lower case, white space folded.

    Two texts with one key are taken for the same; among six million texts a chance collision has odds of one in
    a million. Keys are compared within one build only, never stored in what it writes.
    """
    folded = text.str.normalize("NFKC").str.to_lowercase().str.replace_all(r"\s+", " ").str.strip_chars(" ")
    return folded.hash(seed=0)


def select(keys: pl.DataFrame, splits: dict[str, Split], seed: int, limit: int | None = None) -> Selection:
    """Decide for every row of a corpus. keys: columns KEYS, in reading order.

    A corpus's own tests and validation sets are kept whole. Rows without a split are made distinct first, then drawn
    stratified by label within each language: test, validation, training.
    """
    rows = keys.with_row_index("row").with_columns(
        _rank(keys.height, seed), pool=pl.col("split").is_null(), to=pl.col("split").cast(pl.String)
    )
    rows = _drop_duplicates(rows)
    rows = _split_pool(rows, splits)
    rows = _drop_leaks(rows)
    rows = _cap(rows, splits, limit)
    return Selection(rows["to"], rows["reason"])


def _rank(height: int, seed: int) -> pl.Series:
    """A pseudo-random number for each row: splitmix64 of its position, so the same on every machine."""
    with np.errstate(over="ignore"):
        z = np.arange(height, dtype=np.uint64) + np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return pl.Series("rank", z ^ (z >> np.uint64(31)))


def _drop_duplicates(rows: pl.DataFrame) -> pl.DataFrame:
    """Only training rows and rows without a split may go; a corpus's own test keeps its duplicates."""
    movable = pl.col("pool") | (pl.col("split") == "train")
    same = [*GROUP, "split", "key"]
    twice = rows.filter(movable).select(*same, "gold", "row").filter(pl.len().over(same) > 1)
    twice = twice.with_columns(
        conflict=pl.col("gold").n_unique().over(same) > 1, first=pl.col("row").min().over(same) == pl.col("row")
    )
    reasons = twice.select(
        "row",
        reason=pl.when("conflict").then(pl.lit(CONFLICT)).when(~pl.col("first")).then(pl.lit(DUPLICATE)),
    )
    rows = rows.join(reasons, on="row", how="left", maintain_order="left")
    return rows.with_columns(to=pl.when(pl.col("reason").is_null()).then("to"))


def _draw(rows: pl.DataFrame, share_of: list[str], most: pl.Expr, where: pl.Expr) -> pl.Series:
    """True for `most` rows of each `share_of` group among those `where`, proportionally over task and label.

    Systematic sampling: in the order of (task, emotion, language, label, rank), row i of n is drawn when
    floor((i+1)*m/n) exceeds floor(i*m/n); so exactly m are drawn, and each stratum gets its share within one row.
    """
    order = ["task", "emotion", "language", "gold", "rank"]
    ordered = rows.filter(where).with_columns(most=most.cast(pl.Int64)).sort(order)
    index, count = pl.int_range(pl.len(), dtype=pl.Int64).over(share_of), pl.len().over(share_of).cast(pl.Int64)
    wanted = pl.min_horizontal("most", count)
    drawn = ordered.filter((index + 1) * wanted // count > index * wanted // count)["row"]
    chosen = np.zeros(rows.height, dtype=bool)
    chosen[drawn.to_numpy()] = True
    return pl.Series("drawn", chosen)


def _size(splits: dict[str, Split], which: str, default: int) -> pl.Expr:
    """The configured size for each row's subset; the largest number there is where the config sets none."""
    sizes = {name: getattr(split, which) for name, split in splits.items()}
    sizes = {name: NO_CAP if size is None else size for name, size in sizes.items()}
    return pl.col("subset").cast(pl.String).replace_strict(sizes, default=default, return_dtype=pl.Int64)


def _split_pool(rows: pl.DataFrame, splits: dict[str, Split]) -> pl.DataFrame:
    free = pl.col("pool") & pl.col("to").is_null() & pl.col("reason").is_null()
    usable = pl.len().over(GROUP_OF_SHARES).cast(pl.Int64)
    left = rows.filter(free).select("row", usable=usable)
    rows = rows.join(left, on="row", how="left", maintain_order="left")
    for into, part in (("test", 4), ("val", 10)):
        most = pl.min_horizontal(_size(splits, into, 0), pl.col("usable") // part)
        drawn = _draw(rows, GROUP_OF_SHARES, most, free)
        rows = rows.with_columns(to=pl.when(drawn).then(pl.lit(into)).otherwise("to"))
    return rows.with_columns(to=pl.when(free).then(pl.lit("train")).otherwise("to")).drop("usable")


def _drop_leaks(rows: pl.DataFrame) -> pl.DataFrame:
    held_out = rows.filter(pl.col("to").is_in(["test", "val"]))["key"].unique()
    leak = (pl.col("to") == "train") & pl.col("key").is_in(held_out.implode())
    return rows.with_columns(
        to=pl.when(~leak.fill_null(False)).then("to"),
        reason=pl.when(leak).then(pl.lit(LEAK)).otherwise("reason"),
    )


def _cap(rows: pl.DataFrame, splits: dict[str, Split], limit: int | None) -> pl.DataFrame:
    train = pl.col("to") == "train"
    keep = _draw(rows, GROUP_OF_SHARES, _size(splits, "train", NO_CAP), train)
    kept = pl.when(train).then(keep).otherwise(pl.col("to").is_not_null())
    if limit is not None:
        rows = rows.with_columns(to=pl.when(kept).then("to"))
        kept = pl.lit(_draw(rows, ["subset", "to"], pl.lit(limit), pl.col("to").is_not_null()))
    over = pl.col("reason").is_null() & ~kept
    return rows.with_columns(
        to=pl.when(kept).then("to"), reason=pl.when(over).then(pl.lit(OVER_CAP)).otherwise("reason")
    )
