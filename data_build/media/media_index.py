"""DATA/media/index.jsonl: every stored picture, frame and clip with its size, hash and raw file."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from data_build.media.extract import FOLDER, FRAME
from data_build.media.journal import Taken
from mmafflm.dataset import MEDIA_INDEX
from mmafflm.errors import Fault
from mmafflm.files.inside import Folder, is_media_name, quoted
from mmafflm.media.budget import vision_tokens
from mmafflm.records import Record, media_files, read_jsonl, sha256_of, write_jsonl


class MediaEntry(NamedTuple):
    """One stored file. `frames`: of a clip kept as a file, how many of its frames the budget allows; otherwise None."""

    file: str  # below DATA
    width: int
    height: int
    frames: int | None
    bytes: int
    sha256: str
    raw: str  # CORPUS/RawFile.name
    raw_sha256: str
    dhash: str  # of the picture, or of the clip's first frame


Index = dict[str, MediaEntry]


def is_of_clip(entry: MediaEntry) -> bool:
    """Whether this is a clip or a frame of one, rather than a picture."""
    return entry.frames is not None or entry.file.endswith(FRAME)


def entries(corpus: str, taken: Iterable[tuple[str, Taken]]) -> Index:
    """Index entries from pairs of a raw file's name and what was stored of it.

    If several raw files have the same stored file, `raw` of its entry is the one whose name sorts first.
    """
    found: Index = {}
    for raw, one in sorted(taken, key=lambda item: item[0]):
        for name, size, digest in one.files:
            clip = one.frames if one.kind == "video" and not name.endswith(FRAME) else None
            entry = MediaEntry(
                name, one.width, one.height, clip, size, digest, f"{corpus}/{raw}", one.raw_sha256, one.dhash
            )
            found.setdefault(name, entry)
    return found


def write_index(data: Path, index: Index) -> None:
    """Write the index unless it is empty, and delete every file below DATA/media that has no entry in it."""
    if index:
        write_jsonl(data / MEDIA_INDEX, (index[name]._asdict() for name in sorted(index)))
    for path in (data / FOLDER).rglob("*"):
        name = path.relative_to(data).as_posix()
        if path.is_file() and name not in index and not (index and name == MEDIA_INDEX):
            path.unlink()


def read_index(data: Path) -> Index:
    """The index; empty for a build without pictures and clips. Raises Fault for the first line that is not valid."""
    path = data / MEDIA_INDEX
    index: Index = {}
    for number, row in enumerate(read_jsonl(path) if path.exists() else (), 1):
        numbers = [row.get(name) for name in ("width", "height", "bytes")]
        if set(row) != set(MediaEntry._fields) or not is_media_name(row["file"]):
            raise Fault(f"{path}:{number}: {quoted(row.get('file'))}: not an entry of the index. Build again.")
        if not all(isinstance(one, int) and one > 0 for one in numbers) or not isinstance(row["raw"], str):
            raise Fault(f"{path}:{number}: {quoted(row['file'])}: a size is not a positive integer. Build again.")
        index[row["file"]] = MediaEntry(**row)
    return index


def tokens_of(record: Record, index: Index) -> int:
    """The vision tokens of a record's pictures and clips, computed from their sizes alone.

    Raises Fault for a picture or clip that is not in the index.
    """
    if strange := [name for name in media_files(record) if name not in index]:
        raise Fault(f"{record.id}: {quoted(strange[0])}: not in {MEDIA_INDEX}. Build again.")
    total = sum(vision_tokens(index[name].width, index[name].height) for name in record.images)
    for video in record.videos:
        first = index[video if isinstance(video, str) else video[0]]
        frames = (first.frames or 1) if isinstance(video, str) else len(video)
        total += vision_tokens(first.width, first.height, frames)
    return total


def media_faults(data: Path) -> list[str]:
    """A sentence for each entry whose file is missing, has changed since the build, or is not safe to open."""
    found = []
    folder = Folder(data)
    for name, entry in read_index(data).items():
        path = data / name
        if why := folder.fault(name):
            found.append(f"{data / MEDIA_INDEX}: {quoted(name)}: {why}.")
        elif not path.is_file():
            found.append(f"{path}: missing. Build again.")
        elif sha256_of(path) != entry.sha256:
            found.append(f"{path}: changed after the build (its SHA-256 is not the index's). Build again.")
    return found
