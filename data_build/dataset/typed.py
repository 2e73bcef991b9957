"""mmaffin/typed/: the records as `datasets` and the hub's viewer show them, with pictures and typed gold.

LLaMA-Factory reads other Parquet files (twins.py), where a picture is a path and gold is only in the answer. Here a
picture is stored in the row, so the files can be moved and published alone. The types are in the card's metadata:
without this metadata, pyarrow finds large lists, which the pinned `datasets` cannot print.
"""

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from data_build.twins import TWINS
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.benchmark.grammar import Labels, Vad
from mmafflm.dataset import MIX, build_command, split_file
from mmafflm.errors import Fault
from mmafflm.files.inside import media_path
from mmafflm.records import SPLITS, read_jsonl, replacing

TYPED = "typed"  # below DATA/mmaffin
BYTES, ROWS = 1 << 28, 50_000  # a file ends at this many bytes of pictures or this many rows; it is made in memory
GROUP = 100  # rows of a row group, as the hub recommends for pictures
_PICTURE = pl.Struct({"bytes": pl.Binary(), "path": pl.String()})
_VAD = ("valence", "arousal", "dominance")
_TEXTS = ("id", "language", "task", "emotion")
_BETWEEN = "\x1f"  # no label's name contains it
Feature = dict[str, Any]


def write_typed(data: Path, subsets: dict[str, Any], changed: Collection[str] | None = None) -> None:
    """Write the files of every split of a build; `subsets` is the manifest's. Other files of the folder are removed.

    changed: only these subsets have other rows than before; the files of the others are kept.
    """
    folder, made = data / "mmaffin" / TYPED, set[Path]()
    folder.mkdir(parents=True, exist_ok=True)
    for name, of in subsets.items():
        if changed is not None and name not in changed:
            made.update(path for split in of for path in data.glob(typed_files(name, split)))
            continue
        for split in of:
            for number, rows in enumerate(_shards(data, read_jsonl(data / split_file(name, split)), _forms(name))):
                made.add(folder / f"{name}_{split}-{number:05}.parquet")
                with replacing(folder / f"{name}_{split}-{number:05}.parquet") as out:
                    rows.write_parquet(out, row_group_size=GROUP if "images" in rows or "videos" in rows else 1024)
    for path in set(folder.iterdir()) - made:
        path.unlink()


def typed_files(subset: str, split: str) -> str:
    """The files of a split, as a pattern below DATA."""
    return f"mmaffin/{TYPED}/{subset}_{split}-*.parquet"


def features(data: Path, subset: str) -> list[Feature]:
    """The columns of a subset's files in the form of the card's `dataset_info`.

    Raises Fault when there are no such files, as in a build by an older version.
    """
    files = [
        path for split in SPLITS for path in sorted((data / "mmaffin" / TYPED).glob(f"{subset}_{split}-*.parquet"))
    ]
    if not files:
        raise Fault(
            f"{data / 'mmaffin' / TYPED}: has no files of {subset}: it has no rows, or an older version made this "
            f"build. Run: {build_command(data)} --replace"
        )
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
    """The forms of gold in a subset (labels, number, vad; SemEval has labels and numbers), and the label names."""

    kinds: list[str]
    labels: tuple[str, ...]

    def column(self, golds: list[Any]) -> pl.Series:
        """Gold as it is stored: labels as the numbers of a ClassLabel; with several forms, a struct of them."""
        of = {"labels": self._labels, "number": _numbers, "vad": _vad}
        if len(self.kinds) == 1:
            return of[self.kinds[0]](golds)
        return pl.DataFrame({kind: of[kind](golds) for kind in self.kinds}).to_struct("gold")

    def _labels(self, golds: list[Any]) -> pl.Series:
        """A list for each row, empty where gold is a number: the pinned `datasets` cannot read a null there."""
        texts = pl.Series([_BETWEEN.join(gold) if isinstance(gold, list) else "" for gold in golds], dtype=pl.String)
        at = pl.element().replace_strict({name: at for at, name in enumerate(self.labels)}, default=None,
                                         return_dtype=pl.Int64)  # fmt: skip
        return texts.str.split(_BETWEEN).list.eval(at).list.drop_nulls()


def _numbers(golds: list[Any]) -> pl.Series:
    return pl.Series([None if isinstance(gold, list) else float(gold) for gold in golds], dtype=pl.Float64)


def _vad(golds: list[Any]) -> pl.Series:
    return pl.Series(golds, dtype=pl.Struct(dict.fromkeys(_VAD, pl.Float64())))


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


def _shards(data: Path, rows: Iterable[dict[str, Any]], forms: _Forms) -> Iterator[pl.DataFrame]:
    """Tables of at most ROWS rows and about BYTES bytes of pictures; none for a split without rows."""
    some: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        row["images"] = [_picture(data, name) for name in row["images"]]
        row["videos"] = [
            clip if isinstance(clip, str) else [_picture(data, name) for name in clip] for clip in row["videos"]
        ]
        pictures = [*row["images"], *(one for clip in row["videos"] if not isinstance(clip, str) for one in clip)]
        size += sum(len(one["bytes"]) for one in pictures)
        some.append(row)
        if size >= BYTES or len(some) == ROWS:
            yield _table(some, forms)
            some, size = [], 0
    if some:
        yield _table(some, forms)


def _picture(data: Path, name: str) -> dict[str, Any]:
    return {"bytes": media_path(data, name).read_bytes(), "path": name}


def _table(rows: list[dict[str, Any]], forms: _Forms) -> pl.DataFrame:
    def texts(name: str, values: Iterable[str | None]) -> pl.Series:
        return pl.Series(name, list(values), pl.String)

    columns = [texts(name, (row.get(name) for row in rows)) for name in _TEXTS]
    columns.append(forms.column([row["gold"] for row in rows]).alias("gold"))
    if rows[0]["modality"] == "image":
        columns.append(pl.Series("images", [row["images"] for row in rows], pl.List(_PICTURE)))
    if rows[0]["modality"] == "video":
        files = any(isinstance(clip, str) for row in rows for clip in row["videos"])
        kind = pl.List(pl.String) if files else pl.List(pl.List(_PICTURE))
        columns.append(pl.Series("videos", [row["videos"] for row in rows], kind))
    columns += [
        texts("prompt", (row["messages"][0]["content"] for row in rows)),
        texts("answer", (row["messages"][-1]["content"] for row in rows)),
        texts("source", (row["source"] for row in rows)),
        texts("translated_from", (row["translated_from"] and row["translated_from"]["language"] for row in rows)),
    ]
    return pl.DataFrame(columns)
