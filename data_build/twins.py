"""The files that LLaMA-Factory reads: dataset_info.json, and a Parquet twin of every JSONL file.

A record's `gold` is a list, a number or an object, and `images` may be empty in the first ten thousand rows. Arrow
would infer types from the first rows and then refuse the others. The twin has the same rows in the same order under a
fixed schema, so it loads whichever row comes first.
"""

import json
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import polars as pl

from data_build.media.media_index import Index, tokens_of
from mmafflm.records import Record, dump, replacing, write_text

TWINS = "parquet"  # below DATA/mmaffin
CHUNK = 10_000  # records kept as Python objects at a time: each takes 2 kB, and 0.4 kB as columns
SCHEMA = pl.Schema(
    {
        "id": pl.String(),
        "messages": pl.List(pl.Struct({"role": pl.String, "content": pl.String})),
        "images": pl.List(pl.String),
        "videos": pl.List(pl.List(pl.String)),  # frames
        "vision_tokens": pl.Int32(),  # of images and videos; LLaMA-Factory reads only the columns of write_registry
        "text_bytes": pl.Int32(),  # UTF-8, prompt and answer: byte-level BPE makes at most one token per byte
    }
)


class Twin:
    """Collects the columns of the twin from the records that pass through it."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.frames = [SCHEMA.to_frame()]
        self.clips = False  # True if videos are files, not lists of frames; LLaMA-Factory takes only one form per build

    def passing(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield the same records, collecting each."""
        stream = iter(records)
        while some := list(islice(stream, CHUNK)):
            rows = [
                (record.id, record.messages, record.images, self._videos(record), tokens_of(record, self.index),
                 len((record.prompt + record.answer).encode()))
                for record in some
            ]  # fmt: skip
            self.frames.append(pl.DataFrame(rows, SCHEMA, orient="row"))
            yield from some

    def _videos(self, record: Record) -> list[list[str]]:
        if any(isinstance(video, str) for video in record.videos):
            self.clips = True
        return [[video] if isinstance(video, str) else video for video in record.videos]

    def table(self) -> pl.DataFrame:
        """The twin's rows."""
        table = pl.concat(self.frames)
        return as_files(table) if self.clips else table


class Written(NamedTuple):
    """The number of rows of a JSONL file, and the twin's rows at the positions `keep`, each with its JSONL `line`."""

    rows: int
    kept: pl.DataFrame


def as_files(table: pl.DataFrame) -> pl.DataFrame:
    """The twin of a build whose clips are files: each list of one file is replaced by the file."""
    if table.schema["videos"] == pl.List(pl.String):
        return table
    return table.with_columns(pl.col("videos").list.eval(pl.element().list.first()))


def write_records(
    mmaffin: Path, source: Path, records: Iterable[Record], index: Index, keep: Collection[int] = ()
) -> Written:
    """Write a JSONL file of records, and its twin below `mmaffin`. keep: positions of the rows to return, ascending."""
    twin, rows, lines, wanted = Twin(index), 0, [], set(keep)
    with replacing(source) as out:
        for record in twin.passing(records):
            line = dump(record.to_json())
            out.write(line)
            if rows in wanted:
                lines.append(line)
            rows += 1
    table = twin.table()
    write_table(twin_of(mmaffin, source), table)
    return Written(rows, with_lines(table, keep, lines))


def with_lines(table: pl.DataFrame, places: Collection[int], lines: list[bytes]) -> pl.DataFrame:
    """The rows of a twin at these positions, each with its line of the JSONL file as `line`."""
    return table[list(places)].with_columns(pl.Series("line", lines, pl.Binary))


def write_table(path: Path, table: pl.DataFrame) -> None:
    """Write a twin's Parquet file."""
    with replacing(path) as out:
        table.write_parquet(out, row_group_size=1024)


def twin_of(mmaffin: Path, source: Path) -> Path:
    """The path of a JSONL file's Parquet twin."""
    return mmaffin / TWINS / f"{source.stem}.parquet"


def write_registry(mmaffin: Path, names: list[str]) -> None:
    """Write dataset_info.json: an entry for every split and the mix, in LLaMA-Factory's sharegpt form."""
    entry = {
        "formatting": "sharegpt",
        "columns": {"messages": "messages", "images": "images", "videos": "videos"},
        "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"},
    }
    registry = {name: {"file_name": f"{TWINS}/{name}.parquet", **entry} for name in names}
    write_text(mmaffin / "dataset_info.json", json.dumps(registry, indent=2) + "\n")
