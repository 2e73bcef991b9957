"""What LLaMA-Factory reads: dataset_info.json, and a Parquet twin of every JSONL file.

The records' `gold` is a list, a number or an object, and `images` may be empty for the first ten thousand rows: Arrow
infers its types from what comes first and then refuses the rest. The twin has the same rows in the same order under a
fixed schema, so it loads whichever row comes first.
"""

import json
from pathlib import Path

import polars as pl

from mmafflm.records import read_records, replacing, write_text

TWINS = "parquet"  # below DATA/mmaffin
_TURN = pl.Struct({"role": pl.String, "content": pl.String})


def write_twin(source: Path, twin: Path) -> int:
    """Write the Parquet twin of one JSONL file of records; returns its rows."""
    records = list(read_records(source))
    framed = any(isinstance(video, list) for record in records for video in record.videos)
    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        "id": pl.String,
        "messages": pl.List(_TURN),
        "images": pl.List(pl.String),
        "videos": pl.List(pl.List(pl.String)) if framed else pl.List(pl.String),
    }
    rows = [(record.id, record.messages, record.images, record.videos) for record in records]
    with replacing(twin) as out:
        pl.DataFrame(rows, schema, orient="row").write_parquet(out, row_group_size=1024)
    return len(records)


def write_registry(mmaffin: Path, names: list[str]) -> None:
    """Write dataset_info.json: every split and the mix under its own name, in LLaMA-Factory's sharegpt form."""
    entry = {
        "formatting": "sharegpt",
        "columns": {"messages": "messages", "images": "images", "videos": "videos"},
        "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"},
    }
    registry = {name: {"file_name": f"{TWINS}/{name}.parquet", **entry} for name in names}
    write_text(mmaffin / "dataset_info.json", json.dumps(registry, indent=2) + "\n")
