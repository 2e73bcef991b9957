"""The training mix: rows of each subset, balanced over languages, every example once, shuffled across all corpora.

LLaMA-Factory reads it in file order, so one pass over it is one epoch (its own mixing repeats or does not mix).
"""

from collections import Counter, defaultdict
from collections.abc import Container, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import polars as pl

from data_build.media_index import Index
from data_build.registry import twin_of, write_twin
from data_build.translate.ids import FROM, original_id
from mmafflm.dataset import MIX, split_file
from mmafflm.records import replacing
from mmafflm.sampling import shuffle_key

MOST_TRANSLATED = 0.5  # of a subset's rows


class Line(NamedTuple):
    """A record's place in the mix, and its bytes."""

    shuffle: bytes
    stratum: tuple[str, str, bytes]
    language: str
    id: str
    translated: bool
    data: bytes


def shares(total: int, available: dict[str, int]) -> dict[str, int]:
    """Divide `total` evenly over languages; what one cannot fill goes to the others."""
    share: dict[str, int] = {}
    left = total
    for position, (language, count) in enumerate(sorted(available.items(), key=lambda item: (item[1], item[0]))):
        share[language] = min(count, left // (len(available) - position))
        left -= share[language]
    for language in sorted(available):  # the remainder of the division, one row each
        if left and share[language] < available[language]:
            share[language] += 1
            left -= 1
    return share


def shares_with_translated(
    total: int, originals: dict[str, int], translated: dict[str, int], most: float
) -> dict[str, int]:
    """As shares(), where translated rows fill what a language's originals cannot: at most that share of all rows."""
    left = dict(translated)
    while True:
        both = {one: originals.get(one, 0) + left.get(one, 0) for one in originals.keys() | left.keys()}
        share = shares(total, both)
        used = {one: rows - originals.get(one, 0) for one, rows in share.items() if rows > originals.get(one, 0)}
        fit = int(most * sum(share.values()))
        if sum(used.values()) <= fit:
            return share
        left = shares(fit, used)  # fewer than before, so this ends


def make_mix(
    data: Path,
    asked: dict[str, int],
    seed: int,
    index: Index,
    languages: list[str] | None = None,
    most_translated: float = MOST_TRANSLATED,
    barred: Container[str] = (),
) -> dict[str, Any]:
    """Write the training mix and its twin; returns what the manifest says of it.

    languages: only these ("es", with its translations; "es<-en", those from English alone), or all.
    most_translated: the share of a subset's rows that may be translations. barred: ids of rows that are not drawn,
    nor is what was made of them.
    """
    only = None if languages is None else frozenset(languages)
    taken, translated = write_mix(data, asked, seed, only, most_translated, barred)
    drawn = {"file": f"mmaffin/{MIX}.jsonl", "rows": 0, "seed": seed, "subsets": taken, "asked": asked}
    drawn |= {"translated": translated, "most_translated": most_translated}
    return drawn | ({"only_languages": languages} if languages is not None else {}) | add_twin(data, index)


def add_twin(data: Path, index: Index) -> dict[str, Any]:
    """Write the twin of the mix that stands; returns its rows and, for each kind of length, its histogram."""
    mix = data / "mmaffin" / f"{MIX}.jsonl"
    rows = write_twin(data / "mmaffin", mix, index)
    twin = pl.read_parquet(twin_of(data / "mmaffin", mix), columns=["vision_tokens", "text_bytes"])
    return {"rows": rows} | {name: histogram(twin[name]) for name in twin.columns}


def histogram(lengths: pl.Series) -> dict[str, int]:
    """Records by length, in steps of two: {"at most": records}, such as {"0": 12, "64": 7, "128": 3}."""
    steps = [0, *(1 << power for power in range(4, 24))]
    counts = {str(high): int(((lengths <= high) & (lengths > low)).sum()) for low, high in pairwise([-1, *steps])}
    return {high: count for high, count in counts.items() if count}


class Taken(NamedTuple):
    """Rows of the mix, by subset and language; and how many of them are translations."""

    rows: dict[str, dict[str, int]]
    translated: dict[str, dict[str, int]]


def write_mix(
    data: Path,
    rows: dict[str, int],
    seed: int,
    languages: frozenset[str] | None,
    most_translated: float,
    barred: Container[str] = (),
) -> Taken:
    """Write DATA/mmaffin/mmaffin_train.jsonl out of the training files.

    A subset that was not built, or has no such language, is left out; one with fewer rows than asked gives all it has.
    """
    chosen: list[Line] = []
    taken = Taken({}, {})
    for subset, wanted in rows.items():
        path = data / split_file(subset, "train")
        if wanted and path.exists():
            if not (lines := list(_draw(path, wanted, seed, languages, most_translated, barred))):
                continue
            chosen += lines
            taken.rows[subset] = dict(sorted(Counter(line.language for line in lines).items()))
            if translated := Counter(line.language for line in lines if line.translated):
                taken.translated[subset] = dict(sorted(translated.items()))
    chosen.sort()
    with replacing(data / "mmaffin" / f"{MIX}.jsonl") as out:
        out.writelines(line.data for line in chosen)
    return taken


def _draw(
    path: Path, wanted: int, seed: int, languages: frozenset[str] | None, most: float, barred: Container[str]
) -> Iterator[Line]:
    """Rows of one training file: its languages' shares, each stratified by task, emotion and gold."""
    originals: dict[str, list[Line]] = defaultdict(list)
    translated: dict[str, list[Line]] = defaultdict(list)
    with path.open("rb") as lines:
        for data in lines:
            row = orjson.loads(data)
            if (languages is not None and not _origins(row) & languages) or (
                barred and original_id(row["id"]) in barred
            ):
                continue
            stratum = (row["task"], row.get("emotion") or "", orjson.dumps(row["gold"]))
            made = bool(row["translated_from"])
            line = Line(shuffle_key(seed, row["id"]), stratum, row["language"], row["id"], made, data)
            (translated if made else originals)[line.language].append(line)
    own_rows, made_rows = ({one: len(lines) for one, lines in of.items()} for of in (originals, translated))
    for language, rows in shares_with_translated(wanted, own_rows, made_rows, most).items():
        own = min(rows, len(originals[language]))
        yield from _stratified(originals[language], own)
        yield from _stratified(translated[language], rows - own)


def _origins(row: dict[str, Any]) -> set[str]:
    """What a mix may name a row's language by: "es"; and "es<-en" for a translation from English."""
    source = row["translated_from"]
    return {row["language"]} | ({f"{row['language']}{FROM}{source['language']}"} if source else set())


def _stratified(pool: list[Line], most: int) -> Iterator[Line]:
    pool.sort(key=lambda line: (line.stratum, line.shuffle))
    count = len(pool)
    yield from (line for i, line in enumerate(pool) if (i + 1) * most // count > i * most // count)
