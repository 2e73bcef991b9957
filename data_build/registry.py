"""What LLaMA-Factory reads: dataset_info.json, and a Parquet twin of every JSONL file.

The records' `gold` is a list, a number or an object, and `images` may be empty for the first ten thousand rows: Arrow
infers its types from what comes first and then refuses the rest. The twin has the same rows in the same order under a
fixed schema, so it loads whichever row comes first.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import polars as pl

from data_build.media_index import Index, tokens_of
from mmafflm.records import Record, read_records, replacing, write_jsonl, write_text

TWINS = "parquet"  # below DATA/mmaffin
CHUNK = 10_000  # records that are Python objects at a time: 2 kB each, 0.4 as columns
SCHEMA = pl.Schema(
    {
        "id": pl.String(),
        "messages": pl.List(pl.Struct({"role": pl.String, "content": pl.String})),
        "images": pl.List(pl.String),
        "videos": pl.List(pl.List(pl.String)),  # frames
        "vision_tokens": pl.Int32(),  # of images and videos; LLaMA-Factory passes over what it is not told of
        "text_bytes": pl.Int32(),  # UTF-8, prompt and answer: byte-level BPE makes no more tokens than that
    }
)


class Twin:
    """The columns of records that LLaMA-Factory reads, gathered as they pass."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.frames = [SCHEMA.to_frame()]
        self.clips = False  # videos are files, not lists of frames: one form a build, LLaMA-Factory takes no two

    def passing(self, records: Iterable[Record]) -> Iterator[Record]:
        """The same records, each kept."""
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

    def write(self, path: Path) -> None:
        """Write the Parquet file."""
        table = pl.concat(self.frames)
        if self.clips:
            table = table.with_columns(pl.col("videos").list.eval(pl.element().list.first()))
        with replacing(path) as out:
            table.write_parquet(out, row_group_size=1024)


def write_records(mmaffin: Path, source: Path, records: Iterable[Record], index: Index) -> int:
    """Write a JSONL file of records, and its twin below `mmaffin`; returns the rows."""
    twin = Twin(index)
    rows = write_jsonl(source, (record.to_json() for record in twin.passing(records)))
    twin.write(twin_of(mmaffin, source))
    return rows


def write_twin(mmaffin: Path, source: Path, index: Index) -> int:
    """Write the twin of a JSONL file of records that stands already; returns the rows."""
    twin = Twin(index)
    rows = sum(1 for _ in twin.passing(read_records(source)))
    twin.write(twin_of(mmaffin, source))
    return rows


def twin_of(mmaffin: Path, source: Path) -> Path:
    """Where the Parquet twin of a JSONL file stands."""
    return mmaffin / TWINS / f"{source.stem}.parquet"


def write_registry(mmaffin: Path, names: list[str]) -> None:
    """Write dataset_info.json: every split and the mix under its own name, in LLaMA-Factory's sharegpt form."""
    entry = {
        "formatting": "sharegpt",
        "columns": {"messages": "messages", "images": "images", "videos": "videos"},
        "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"},
    }
    registry = {name: {"file_name": f"{TWINS}/{name}.parquet", **entry} for name in names}
    write_text(mmaffin / "dataset_info.json", json.dumps(registry, indent=2) + "\n")
