"""Write a small DATA folder: the parts of `mmaffin build`'s output that training reads."""

import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mmafflm.dataset import MIX, Dataset, data_hash
from mmafflm.records import Record, sha256_of, write_jsonl, write_text
from tests.budget import BUDGET

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
        ("images", pa.list_(pa.string())),
        ("videos", pa.list_(pa.list_(pa.string()))),
        ("vision_tokens", pa.int32()),
        ("text_bytes", pa.int32()),
    ]
)
MIXED = 16  # rows of each kind in the fixture `mixed`
WORDS = {"positive": "good fine lovely great", "negative": "bad awful broken poor"}


def make_record(number: int, text: str, answer: str, images: int = 0, videos: int = 0) -> Record:
    """One training record; its text contains its number, so that tests can tell which rows were read."""
    marks = "<image>" * images + "<video>" * videos
    return Record(
        id=f"onlineshopping/zh/train/{number:06d}",
        subset="onlineshopping",
        task="sentiment_polarity",
        split="train",
        language="zh",
        modality="video" if videos else "image" if images else "text",
        source=f"tiny:{number}",
        messages=[
            {"role": "user", "content": f"{marks}Row {number:06d}. Is this review positive or negative? {text}"},
            {"role": "assistant", "content": answer},
        ],
        images=[f"media/{number}.png"] * images,
        videos=[[f"media/{number}.png"] * 2] * videos,
        gold=[answer],
    )


def text_records(rows: int) -> list[Record]:
    """Reviews of various lengths; their words tell the label."""
    draw = random.Random(7)
    records = []
    for number in range(rows):
        label = draw.choice(sorted(WORDS))
        text = " ".join(draw.choices(WORDS[label].split(), k=draw.randint(3, 12)))
        records.append(make_record(number, text, label))
    return records


def make_data(path: Path, records: list[Record]) -> Dataset:
    """Write DATA with these records as the training mix."""
    mix, twin = f"mmaffin/{MIX}.jsonl", f"mmaffin/parquet/{MIX}.parquet"
    write_jsonl(path / mix, (record.to_json() for record in records))
    (path / twin).parent.mkdir(parents=True, exist_ok=True)
    columns = ("id", "messages", "images", "videos")
    rows = [
        {name: getattr(record, name) for name in columns}
        | {"vision_tokens": 400 * (len(record.images) + len(record.videos)),
           "text_bytes": len((record.prompt + record.answer).encode())}
        for record in records
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), path / twin)
    entry = {
        "file_name": f"parquet/{MIX}.parquet",
        "formatting": "sharegpt",
        "columns": {"messages": "messages", "images": "images", "videos": "videos"},
        "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"},
    }
    write_text(path / "mmaffin/dataset_info.json", json.dumps({MIX: entry}))
    names = (mix, twin, "mmaffin/dataset_info.json")
    files = {name: {"rows": len(records), "sha256": sha256_of(path / name)} for name in names}
    manifest = {
        "schema": 1,
        "seed": 7,
        "config": {"budget": BUDGET.to_json()},
        "files": files,
        "subsets": {},
        "mix": {"file": mix, "rows": len(records)},
        "data_hash": data_hash(files),
    }
    write_text(path / "manifest.json", json.dumps(manifest))
    return Dataset.open(path)


def losses(run: Path) -> dict[int, float]:
    """{step: loss} of a run."""
    rows = [json.loads(line) for line in (run / "trainer_log.jsonl").read_text().splitlines()]
    return {row["current_steps"]: row["loss"] for row in rows if "loss" in row}
