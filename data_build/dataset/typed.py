"""mmaffin/typed/: the records as `datasets` and the hub's viewer show them, with pictures and typed gold.

LLaMA-Factory reads other Parquet files (twins.py), where a picture is a path and gold is only in the answer. Here a
picture is stored in the row, so the files can be moved and published alone. The types are in the card's metadata:
without it, pyarrow finds large lists, which the pinned `datasets` cannot print.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from data_build.twins import TWINS
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.benchmark.grammar import Gold, Labels, Vad
from mmafflm.dataset import MIX, split_file
from mmafflm.files.inside import media_path
from mmafflm.records import SPLITS, Record, read_records, replacing

TYPED = "typed"  # below DATA/mmaffin
BYTES, ROWS = 1 << 28, 50_000  # of pictures, and rows, in a file at most: a file is made in memory
GROUP = 100  # rows of a row group, as the hub asks for pictures
_PICTURE = pl.Struct({"bytes": pl.Binary(), "path": pl.String()})
_VAD = ("valence", "arousal", "dominance")
_TEXTS = ("id", "language", "task", "emotion")
_ENDS = ("prompt", "answer", "source", "translated_from")
Feature = dict[str, Any]


def write_typed(data: Path, subsets: dict[str, Any]) -> None:
    """Write the files of every split of a build; `subsets` is the manifest's. Other files of the folder are removed."""
    folder, made = data / "mmaffin" / TYPED, set[Path]()
    folder.mkdir(parents=True, exist_ok=True)
    for name, of in subsets.items():
        for split in of:
            for number, rows in enumerate(_shards(data, read_records(data / split_file(name, split)), _forms(name))):
                made.add(folder / f"{name}_{split}-{number:05}.parquet")
                with replacing(folder / f"{name}_{split}-{number:05}.parquet") as out:
                    rows.write_parquet(out, row_group_size=GROUP if "images" in rows or "videos" in rows else 1024)
    for path in set(folder.iterdir()) - made:
        path.unlink()


def typed_files(subset: str, split: str) -> str:
    """The files of a split, as a pattern below DATA."""
    return f"mmaffin/{TYPED}/{subset}_{split}-*.parquet"


def features(data: Path, subset: str) -> list[Feature]:
    """The columns of a subset's files in the form of the card's `dataset_info`."""
    files = [
        path for split in SPLITS for path in sorted((data / "mmaffin" / TYPED).glob(f"{subset}_{split}-*.parquet"))
    ]
    schema = pl.read_parquet_schema(files[0])
    kinds: dict[str, Feature] = {"images": {"list": "image"}, "gold": _gold_feature(_forms(subset))}
    clips = schema.get("videos") == pl.List(pl.String)
    kinds["videos"] = {"list": "string"} if clips else {"list": {"list": "image"}}
    return [{"name": name, **kinds.get(name, {"dtype": "string"})} for name in schema]


def mix_features(data: Path) -> list[Feature]:
    """The columns of the training mix's file, which LLaMA-Factory reads too."""
    schema = pl.read_parquet_schema(data / "mmaffin" / TWINS / f"{MIX}.parquet")
    frames = schema["videos"] != pl.List(pl.String)
    turn = [{"name": "role", "dtype": "string"}, {"name": "content", "dtype": "string"}]
    kinds: dict[str, Feature] = {
        "messages": {"list": turn}, "images": {"list": "string"},
        "videos": {"list": {"list": "string"}} if frames else {"list": "string"},
        "vision_tokens": {"dtype": "int32"}, "text_bytes": {"dtype": "int32"},
    }  # fmt: skip
    return [{"name": name, **kinds.get(name, {"dtype": "string"})} for name in schema]


class _Forms(NamedTuple):
    """The forms of gold in a subset: labels, number, vad; SemEval's tasks have labels and numbers. And its labels."""

    kinds: list[str]
    labels: tuple[str, ...]

    def typed(self, gold: Gold) -> Any:
        """Gold as it is stored: labels as the numbers of a ClassLabel; the form by name where there are several."""
        value = [self.labels.index(name) for name in gold] if isinstance(gold, list) else gold
        if len(self.kinds) == 1:
            return value
        # no labels are an empty list: the pinned `datasets` cannot read a null in its place
        return {"labels": [], "number": None} | {"labels" if isinstance(gold, list) else "number": value}


def _forms(subset: str) -> _Forms:
    grammars = [task.grammar for task in benchmark()[subset].tasks]
    kinds = {"labels" if isinstance(one, Labels) else "vad" if isinstance(one, Vad) else "number" for one in grammars}
    return _Forms(sorted(kinds), next((one.names for one in grammars if isinstance(one, Labels)), ()))


def _gold_feature(forms: _Forms) -> Feature:
    labels = {"list": {"class_label": {"names": {str(at): name for at, name in enumerate(forms.labels)}}}}
    vad = {"struct": [{"name": name, "dtype": "float64"} for name in _VAD]}
    each: dict[str, Feature] = {"labels": labels, "number": {"dtype": "float64"}, "vad": vad}
    if len(forms.kinds) == 1:
        return each[forms.kinds[0]]
    return {"struct": [{"name": kind, **each[kind]} for kind in forms.kinds]}


def _shards(data: Path, records: Iterable[Record], forms: _Forms) -> Iterator[pl.DataFrame]:
    """Tables of at most ROWS rows and about BYTES bytes of pictures; a split without rows gives none."""
    rows: list[dict[str, Any]] = []
    size = 0
    for record in records:
        row = _row(data, record, forms)
        pictures = [*row.get("images", ()), *(one for clip in row.get("videos", ()) if clip for one in clip)]
        size += sum(len(one["bytes"]) for one in pictures if isinstance(one, dict))
        rows.append(row)
        if size >= BYTES or len(rows) == ROWS:
            yield _table(rows, forms)
            rows, size = [], 0
    if rows:
        yield _table(rows, forms)


def _row(data: Path, record: Record, forms: _Forms) -> dict[str, Any]:
    row = {name: getattr(record, name) for name in _TEXTS} | {"gold": forms.typed(record.gold)}
    if record.modality == "image":
        row["images"] = [_picture(data, name) for name in record.images]
    if record.modality == "video":
        row["videos"] = [
            clip if isinstance(clip, str) else [_picture(data, name) for name in clip] for clip in record.videos
        ]
    source = record.translated_from
    return row | {
        "prompt": record.prompt, "answer": record.answer, "source": record.source,
        "translated_from": source["language"] if source else None,
    }  # fmt: skip


def _picture(data: Path, name: str) -> dict[str, Any]:
    return {"bytes": media_path(data, name).read_bytes(), "path": name}


def _table(rows: list[dict[str, Any]], forms: _Forms) -> pl.DataFrame:
    each: dict[str, Any] = {
        "labels": pl.List(pl.Int64), "number": pl.Float64(), "vad": pl.Struct(dict.fromkeys(_VAD, pl.Float64())),
    }  # fmt: skip
    gold = each[forms.kinds[0]] if len(forms.kinds) == 1 else pl.Struct({kind: each[kind] for kind in forms.kinds})
    schema: dict[str, Any] = {name: pl.String() for name in _TEXTS} | {"gold": gold}
    if "images" in rows[0]:
        schema["images"] = pl.List(_PICTURE)
    if "videos" in rows[0]:
        clips = any(isinstance(clip, str) for row in rows for clip in row["videos"])
        schema["videos"] = pl.List(pl.String) if clips else pl.List(pl.List(_PICTURE))
    return pl.DataFrame(rows, schema | {name: pl.String() for name in _ENDS})
