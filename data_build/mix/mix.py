"""The training mix: rows of each subset, balanced over languages, every example once, shuffled across all corpora.

LLaMA-Factory reads it in file order, so one pass over it is one epoch. (LLaMA-Factory's own mixing either repeats
examples or does not mix.)
"""

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import polars as pl

from data_build.config import MOST_TRANSLATED
from data_build.ids import FROM, original_id
from data_build.twins import CHUNK, SCHEMA, as_files, twin_of, with_lines, write_table
from mmafflm.dataset import MIX, split_file
from mmafflm.records import dump, replacing
from mmafflm.sampling import shuffle_key


class Line(NamedTuple):
    """A row of a training file: its position in the file, and the values that decide whether it is drawn, and where."""

    place: int
    shuffle: bytes
    stratum: tuple[str, str, bytes]  # task, emotion, gold
    language: str
    translated: bool


def shares(total: int, available: dict[str, int]) -> dict[str, int]:
    """Divide `total` evenly over languages; rows that a small language cannot provide are divided over the others."""
    share: dict[str, int] = {}
    left = total
    for position, (language, count) in enumerate(sorted(available.items(), key=lambda item: (item[1], item[0]))):
        share[language] = min(count, left // (len(available) - position))
        left -= share[language]
    return share


def shares_with_translated(
    total: int, originals: dict[str, int], translated: dict[str, int], most: float
) -> dict[str, int]:
    """Like shares(), but a language with too few originals gets translations, up to the share `most` of all rows."""
    left = dict(translated)
    while True:
        both = {one: originals.get(one, 0) + left.get(one, 0) for one in originals.keys() | left.keys()}
        share = shares(total, both)
        used = {one: rows - originals.get(one, 0) for one, rows in share.items() if rows > originals.get(one, 0)}
        fit = int(most * sum(share.values()))
        if sum(used.values()) <= fit:
            return share
        left = shares(fit, used)  # fewer translations than before, so the loop ends


@dataclass
class Mix:
    """A training mix that is drawn subset by subset and keeps its rows in memory until `write`.

    languages: see make_mix. most_translated: the largest share of a subset's rows that may be translations.
    """

    asked: dict[str, int]
    seed: int
    languages: list[str] | None = None
    most_translated: float = MOST_TRANSLATED
    frames: list[pl.DataFrame] = field(default_factory=list)  # rows of Parquet twins, with `line` and `shuffle`
    rows: dict[str, dict[str, int]] = field(default_factory=dict)  # subset -> language -> rows
    translated: dict[str, dict[str, int]] = field(default_factory=dict)  # the translations among `rows`

    def draw(self, subset: str, lines: Iterable[Line]) -> list[Line]:
        """Choose the rows of a training file that go into the mix. Returns them in file order.

        Each language gets its share, stratified by task, emotion and gold. Of a subset with too few rows, all are
        chosen, as long as translations stay below their limit.
        """
        wanted = self.asked.get(subset, 0)
        chosen = sorted(_draw(lines, wanted, self.most_translated)) if wanted else []
        if chosen:
            self.rows[subset] = _by_language(chosen)
        if translated := [line for line in chosen if line.translated]:
            self.translated[subset] = _by_language(translated)
        return chosen

    def add(self, chosen: list[Line], kept: pl.DataFrame) -> None:
        """Add the rows that were drawn. kept: the same rows of the Parquet twin; see twins.Written."""
        if chosen:
            shuffle = pl.Series("shuffle", [line.shuffle for line in chosen], pl.Binary)
            self.frames.append(kept.with_columns(shuffle))

    def write(self, data: Path) -> dict[str, Any]:
        """Write the mix, shuffled, and its Parquet twin. Returns the mix's entry in the manifest."""
        path = data / "mmaffin" / f"{MIX}.jsonl"
        frames = self.frames
        if any(frame.schema["videos"] == pl.List(pl.String) for frame in frames):
            frames = [as_files(frame) for frame in frames]
        table = pl.concat(frames) if frames else SCHEMA.to_frame().with_columns(line=b"", shuffle=b"")
        order = table["shuffle"].arg_sort()
        twin = []
        with replacing(path) as out:
            for start in range(0, max(1, len(order)), CHUNK):
                some = table[order.slice(start, CHUNK)]
                out.writelines(some["line"])
                twin.append(some.select(SCHEMA.names()))
        write_table(twin_of(data / "mmaffin", path), pl.concat(twin))
        taken = {
            name: {subset: of[subset] for subset in self.asked if subset in of}
            for name, of in (("subsets", self.rows), ("translated", self.translated))
        }
        about = {"file": f"mmaffin/{MIX}.jsonl", "rows": table.height, "seed": self.seed, "subsets": taken["subsets"]}
        about |= {"asked": self.asked, "translated": taken["translated"], "most_translated": self.most_translated}
        about |= {} if self.languages is None else {"only_languages": self.languages}
        return about | lengths(table)


def _by_language(lines: list[Line]) -> dict[str, int]:
    return dict(sorted(Counter(line.language for line in lines).items()))


def make_mix(
    data: Path,
    asked: dict[str, int],
    seed: int,
    languages: list[str] | None = None,
    most_translated: float = MOST_TRANSLATED,
    barred: Container[str] = (),
) -> dict[str, Any]:
    """Write a training mix from the files of a build. Returns the mix's entry in the manifest.

    A subset that was not built, or has no rows in these languages, is left out.
    languages: draw only from these ("es" includes translations into Spanish, "es<-en" is only those from English);
    None: from all. barred: ids of rows that must not be drawn; translations of these rows are not drawn either.
    """
    mix = Mix(asked, seed, languages, most_translated)
    only = None if languages is None else frozenset(languages)
    for subset in asked:
        path = data / split_file(subset, "train")
        if path.exists() and (chosen := mix.draw(subset, _lines(path, seed, only, barred))):
            places = [line.place for line in chosen]
            mix.add(chosen, with_lines(pl.read_parquet(twin_of(data / "mmaffin", path)), places, _at(path, places)))
    return mix.write(data)


def _lines(path: Path, seed: int, languages: frozenset[str] | None, barred: Container[str]) -> Iterator[Line]:
    """The rows of a training file that the mix may draw."""
    with path.open("rb") as lines:
        for place, data in enumerate(lines):
            row = orjson.loads(data)
            if (languages is not None and not _origins(row) & languages) or (
                barred and original_id(row["id"]) in barred
            ):
                continue
            stratum = (row["task"], row.get("emotion") or "", dump(row["gold"]))
            made = bool(row["translated_from"])
            yield Line(place, shuffle_key(seed, row["id"]), stratum, row["language"], made)


def _at(path: Path, places: list[int]) -> list[bytes]:
    """The lines at these positions of a file."""
    wanted = set(places)
    with path.open("rb") as lines:
        return [line for place, line in enumerate(lines) if place in wanted]


def lengths(twin: pl.DataFrame) -> dict[str, dict[str, int]]:
    """Histograms of the rows' vision tokens and text bytes."""
    return {name: histogram(twin[name]) for name in ("vision_tokens", "text_bytes")}


def histogram(lengths: pl.Series) -> dict[str, int]:
    """Count records by length: {upper bound: records}, as in {"0": 12, "64": 7}; bounds are 0, 16, 32, 64 and so on."""
    steps = [0, *(1 << power for power in range(4, 24))]
    counts = {str(high): int(((lengths <= high) & (lengths > low)).sum()) for low, high in pairwise([-1, *steps])}
    return {high: count for high, count in counts.items() if count}


def _draw(lines: Iterable[Line], wanted: int, most: float) -> Iterator[Line]:
    """Draw rows of one training file: each language's share, stratified by task, emotion and gold."""
    originals: dict[str, list[Line]] = defaultdict(list)
    translated: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        (translated if line.translated else originals)[line.language].append(line)
    own_rows, made_rows = ({one: len(lines) for one, lines in of.items()} for of in (originals, translated))
    for language, rows in shares_with_translated(wanted, own_rows, made_rows, most).items():
        own = min(rows, len(originals[language]))
        yield from _stratified(originals[language], own)
        yield from _stratified(translated[language], rows - own)


def _origins(row: dict[str, Any]) -> set[str]:
    """The names by which a mix file may select a row's language: "es", and "es<-en" for a translation from English."""
    source = row["translated_from"]
    return {row["language"]} | ({f"{row['language']}{FROM}{source['language']}"} if source else set())


def _stratified(pool: list[Line], most: int) -> Iterator[Line]:
    pool.sort(key=lambda line: (line.stratum, line.shuffle))
    count = len(pool)
    yield from (line for i, line in enumerate(pool) if (i + 1) * most // count > i * most // count)
