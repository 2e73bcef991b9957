"""`mmaffin export`: write a build in forms that other tools read. Media are linked or copied, never re-encoded.

docs/reference/data.md lists the content of each form. llamafactory-alpaca and sharegpt are the two forms of the
released MMAFFIn, with its file names; each split is a JSON array. LLaMA-Factory ignores keys that dataset_info.json
does not list (id, language, source, group, translated_from), but `mmaffin import` reads them. parquet and webdataset
have every field of a record. `mmaffin import` reads parquet but not webdataset, where it would have to read a whole tar
for each frame.
"""

import filecmp
import io
import json
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any

import orjson
import polars as pl

from data_build.release.names import SubsetSplit, file_stem, registered
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import MIX, MIX_FILE, Dataset
from mmafflm.errors import Fault, UsageFault
from mmafflm.files.documents import read_json
from mmafflm.files.inside import is_below, media_path, quoted
from mmafflm.files.writing import make_folder
from mmafflm.records import Record, media_files, read_records, replacing, write_text
from mmafflm.terminal.command import say

REGISTRY = "dataset_info.json"
LONGEST_KEY = 88  # bytes; a name in a ustar tar has at most 100, and ".frames.zip" is the longest ending
SHARD = 10_000  # records in a tar; for Parquet, records converted at a time
Row = dict[str, Any]


def export(dataset: Dataset, form: str, out: Path, subsets: list[str]) -> int:
    """Write every split of the chosen subsets in one form below `out`. Returns the number of rows.

    Raises UsageFault for an unknown form or an `out` within the build, and Fault when the build has changed.
    """
    if form not in FORMS:
        raise UsageFault(f"--form {form}: not one of {', '.join(FORMS)}")
    if out.resolve().is_relative_to(dataset.path.resolve()):
        raise UsageFault(f"--out {out}: it is inside {dataset.path}. Choose a folder outside.")
    names = [name for name in subsets if name in dataset.manifest["subsets"]]
    dataset.require_unchanged([*dataset.split_files(names), *({MIX_FILE} & dataset.files.keys())])
    make_folder(out)
    rows = FORMS[form](
        dataset, out, [SubsetSplit(name, split) for name in names for split in dataset.manifest["subsets"][name]]
    )
    say(f"{out}: {rows} rows as {form}")
    return rows


def alpaca_row(record: Record) -> Row:
    """A row in LLaMA-Factory's alpaca form; pictures and clips as in sharegpt."""
    return {"instruction": record.prompt, "input": "", "output": record.answer, **_rest(record)}


def sharegpt_row(record: Record) -> Row:
    """A row in LLaMA-Factory's sharegpt form with OpenAI's names of roles, as in the release."""
    return {"messages": record.messages, **_rest(record)}


def _rest(record: Record) -> Row:
    media: Row = {"images": record.images} if record.images else {"videos": record.videos} if record.videos else {}
    translated = json.dumps(record.translated_from, ensure_ascii=False) if record.translated_from else ""
    # "" and not null: for a column that begins with ten thousand nulls, Arrow would choose the type null
    about = {"id": record.id, "language": record.language, "source": record.source, "group": record.group or ""}
    return media | about | {"translated_from": translated}


def _llamafactory(
    row: Callable[[Record], Row], entry: Callable[[str], Row]
) -> Callable[[Dataset, Path, list[SubsetSplit]], int]:
    def write(dataset: Dataset, out: Path, splits: list[SubsetSplit]) -> int:
        path = out / REGISTRY
        registry = read_json(path, "Choose another --out, or remove it.") if path.exists() else {}
        rows = 0
        for split in splits:
            with replacing(out / f"{file_stem(split)}.json") as file:
                rows += _array(file, (row(record) for record in _with_media(dataset, split, out)))
            modality = benchmark()[split.subset].modality
            about = {"file_name": f"{file_stem(split)}.json", **entry(modality)}
            registry |= dict.fromkeys(registered(split), about)
        write_text(path, json.dumps(registry, indent=2) + "\n")
        return rows

    return write


def _array(out: IO[bytes], rows: Iterable[Row]) -> int:
    """Write a JSON array with each row on its own line. Returns the number of rows."""
    count = 0
    for row in rows:
        out.write((b",\n" if count else b"[\n") + orjson.dumps(row))
        count += 1
    out.write(b"\n]\n" if count else b"[]\n")
    return count


def _alpaca_entry(modality: str) -> Row:
    if modality == "text":
        return {}
    medium = f"{modality}s"
    return {"columns": {"prompt": "instruction", "query": "input", "response": "output", medium: medium}}


def _sharegpt_entry(modality: str) -> Row:
    medium = {} if modality == "text" else {f"{modality}s": f"{modality}s"}
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    return {"formatting": "sharegpt", "columns": {"messages": "messages", **medium}, "tags": tags}


def _with_media(dataset: Dataset, split: SubsetSplit, out: Path) -> Iterator[Record]:
    """Yield the records of a split, after linking or copying the pictures, frames and clips of each."""
    done: set[str] = set()
    for record in dataset.records(split.subset, split.split):
        for name in media_files(record):
            if name not in done:
                done.add(name)
                place(media_path(dataset.path, name), out / name)
        yield record


def place(file: Path, copy: Path) -> None:
    """Hard-link the file, or copy it if links are not possible. An identical file that already exists is kept.

    Raises Fault when `copy` is anything else that exists, because we must not remove files that are not ours.
    """
    if os.path.lexists(copy):
        if copy.is_symlink() or not copy.is_file() or not filecmp.cmp(file, copy, shallow=False):
            raise Fault(f"{copy}: another file has this name already. Remove it, or write to another folder.")
        return
    make_folder(copy.parent)
    try:
        os.link(file, copy, follow_symlinks=True)
    except OSError:  # on another disk, or a disk without links
        with replacing(copy) as out, file.open("rb") as source:
            shutil.copyfileobj(source, out)


def _parquet(dataset: Dataset, out: Path, splits: list[SubsetSplit]) -> int:
    """Write a file for each split, and one for the mix's rows of these subsets, with every field of a record.

    gold and translated_from are JSON texts.
    """
    rows = 0
    for split in splits:
        rows += _table(out / f"{split.subset}_{split.split}.parquet", _with_media(dataset, split, out))
    chosen = {split.subset for split in splits}
    mix = (record for record in read_records(dataset.path / dataset.manifest["mix"]["file"]) if record.subset in chosen)
    _table(out / f"{MIX}.parquet", mix)
    return rows


COLUMNS = pl.Schema(
    {
        **dict.fromkeys(("id", "subset", "task", "split", "language", "modality", "source", "emotion"), pl.String()),
        "group": pl.String(),
        "messages": pl.List(pl.Struct({"role": pl.String, "content": pl.String})),
        "images": pl.List(pl.String),
        "videos": pl.List(pl.List(pl.String)),  # frames; a clip kept as a file is a list of one
        "gold": pl.String(),
        "translated_from": pl.String(),
    }
)


def _table(path: Path, records: Iterable[Record]) -> int:
    frames, stream = [COLUMNS.to_frame()], iter(records)
    while some := list(islice(stream, SHARD)):
        frames.append(pl.DataFrame([_columns(record) for record in some], COLUMNS, orient="row"))
    table = pl.concat(frames)
    with replacing(path) as out:
        table.write_parquet(out, row_group_size=1024)
    return table.height


def _columns(record: Record) -> tuple[Any, ...]:
    row = record.to_json() | {
        "emotion": record.emotion,
        "group": record.group,
        "videos": [[video] if isinstance(video, str) else video for video in record.videos],
        "gold": json.dumps(record.gold, ensure_ascii=False),
        "translated_from": json.dumps(record.translated_from, ensure_ascii=False) if record.translated_from else None,
    }
    return tuple(row[name] for name in COLUMNS)


def _webdataset(dataset: Dataset, out: Path, splits: list[SubsetSplit]) -> int:
    """Write tars of SHARD records: KEY.json is the record, KEY.png its picture, and KEY.frames.zip its clip's frames.

    A clip that is kept as a file is KEY with the file's ending. `datasets` accepts a tar only when every sample has the
    same members, with values of the same types. So all frames of a clip are one member, and "" replaces null.
    """
    rows = 0
    for split in splits:
        stream = dataset.records(split.subset, split.split)
        for number in range(1 << 20):
            some = list(islice(stream, SHARD))
            if not some:
                break
            path = out / f"{split.subset}_{split.split}-{number:06}.tar"
            with replacing(path) as file, tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
                for record in some:
                    _sample(tar, record, dataset.path)
            rows += len(some)
    return rows


def _sample(tar: tarfile.TarFile, record: Record, data: Path) -> None:
    """Write one record's members next to each other. A dot would end the key, so dots in the id are replaced."""
    key = record.id.replace(".", "_")
    if not is_below(key) or len(key.encode()) > LONGEST_KEY:
        raise Fault(f"{record.source}: its id {quoted(record.id)} cannot be a path in a tar. Choose another --form.")
    flat = dict(zip(COLUMNS, _columns(record), strict=True))
    _member(tar, f"{key}.json", orjson.dumps({name: "" if value is None else value for name, value in flat.items()}))
    for name in record.images:
        _member(tar, f"{key}{Path(name).suffix}", media_path(data, name).read_bytes())
    for video in record.videos:
        if isinstance(video, str):
            _member(tar, f"{key}{Path(video).suffix}", media_path(data, video).read_bytes())
        else:
            _member(tar, f"{key}.frames.zip", _zip(media_path(data, frame) for frame in video))


def _zip(frames: Iterable[Path]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number, frame in enumerate(frames):
            archive.writestr(zipfile.ZipInfo(f"{number:03}{frame.suffix}"), frame.read_bytes())
    return out.getvalue()


def _member(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)  # no time and no owner, so that the same records give the same bytes
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


FORMS: dict[str, Callable[[Dataset, Path, list[SubsetSplit]], int]] = {
    "llamafactory-alpaca": _llamafactory(alpaca_row, _alpaca_entry),
    "sharegpt": _llamafactory(sharegpt_row, _sharegpt_entry),
    "parquet": _parquet,
    "webdataset": _webdataset,
}
