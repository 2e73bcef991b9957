"""Write a DATA folder: records and the parts of the manifest that are read without the training mix."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmafflm.dataset import MEDIA_INDEX, Dataset, data_hash, split_file
from mmafflm.records import Record, sha256_of, write_jsonl, write_text
from tests.budget import BUDGET


def write_data(path: Path, by_subset: Mapping[str, Sequence[Record]], **more: object) -> Dataset:
    """Write each subset's records to the files of their splits; `more` is added to the manifest."""
    files: dict[str, dict[str, object]] = {}
    subsets: dict[str, dict[str, object]] = {}
    for name, records in by_subset.items():
        subsets[name] = {}
        for split in dict.fromkeys(record.split for record in records):
            rows = [record.to_json() for record in records if record.split == split]
            file = split_file(name, split)
            write_jsonl(path / file, rows)
            files[file] = {"rows": len(rows), "sha256": sha256_of(path / file)}
            subsets[name][split] = {"rows": len(rows)}
    if stored := sorted(file for file in (path / "media").rglob("*") if file.is_file()):
        index = ({"file": str(file.relative_to(path)), "bytes": file.stat().st_size} for file in stored)
        write_jsonl(path / MEDIA_INDEX, list(index))
        files[MEDIA_INDEX] = {"rows": len(stored), "sha256": sha256_of(path / MEDIA_INDEX)}
    config = {"budget": BUDGET.to_json()}
    manifest = {"schema": 1, "config": config, "files": files, "subsets": subsets, "data_hash": data_hash(files)}
    write_text(path / "manifest.json", json.dumps(manifest | more))
    return Dataset.open(path)
