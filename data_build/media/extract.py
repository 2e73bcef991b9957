"""Open the pictures and clips of a corpus once: scale them to the budget, store them losslessly, name them by content.

journal.py records what was opened. So a build that was stopped, or is made again with another config, opens only what
is new. With another budget, other decoders or other code that opens media, everything is opened again.
"""

import base64
import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path

from PIL import Image

from data_build.media.free_disk import Room, spread
from data_build.media.journal import Taken, read_journal, writing_journal
from data_build.media.picture_hash import difference_hash
from data_build.reading.archives import read_zipped, stream_members
from data_build.reading.corpus import RawMedia
from data_build.reading.raw import RawFile
from data_build.reading.unreadable import Steps, Unreadable, reading
from data_build.workers.nodes import Nodes
from data_build.workers.pool import Failed, Workers
from mmafflm.files.inside import is_media_name
from mmafflm.files.source_hash import source_hash
from mmafflm.files.writing import make_folder, writing
from mmafflm.media.budget import Budget
from mmafflm.media.decode import Broken, open_clip, open_picture
from mmafflm.records import sha256_of
from mmafflm.shard import WHOLE, Shard
from mmafflm.terminal.progress_bar import progress

FOLDER = "media"
FRAME = ".bmp"  # distinguishes a clip's frame from a clip that is kept as a file
LIMIT_S = 60.0
PORTION, PORTION_BYTES = 8, 16 << 20
MEMORY, LARGEST = 6 << 30, 1 << 30  # bytes: address space of a worker; largest clip (no utterance is larger)


@dataclass(frozen=True)
class MediaTask:
    """One picture or clip for a worker to open. `data` holds its bytes if they were read from a stream."""

    key: str
    media: RawMedia
    corpus: str
    root: str  # DATA
    budget: Budget
    path: str = ""
    member: Steps | None = None
    frames: tuple[RawFile, ...] = ()
    size: int = 0  # bytes, according to the file system or the archive
    data: bytes | Unreadable | None = None
    raw_video: bool = False


MediaWorkers = Workers[MediaTask, Taken]


def extract(
    corpus: str,
    wanted: Iterable[str],
    raw: dict[str, RawFile],
    data: Path,
    workers: MediaWorkers,
    budget: Budget,
    raw_video: bool = False,
    nodes: Nodes | None = None,
    shard: Shard = WHOLE,
) -> dict[str, Taken]:
    """Open every wanted picture and clip that no earlier build has opened. Returns the results of all of them.

    wanted: each as the JSON of a RawMedia, which is also the key of its result. raw: raw files by name. workers: from
    media_workers(). nodes: a Ray cluster that opens them instead. shard: open only this share, and return only what has
    been opened. Raises Fault for a broken archive or too small a disk.
    """
    keys = {text: _key(corpus, text, raw, budget, raw_video) for text in wanted}
    known = {key: taken for key, taken in read_journal(data, shard).items() if _stands(taken, data)}
    left = {text: key for text, key in keys.items() if key not in known and shard.has(key)}
    if left:
        room = Room(corpus, len(left), data)
        tasks = _tasks(corpus, spread(left), raw, data, budget, raw_video)
        with (
            progress(f"{corpus}: pictures and clips", len(left)) as advance,
            writing_journal(data, shard) as note,
        ):
            there = nodes.run(take, _portions(tasks), workers.limit_s, MEMORY) if nodes else None
            for task, result in there or workers.run(tasks):
                if isinstance(result, Failed):  # not recorded: the machine may be at fault, so the next run tries again
                    known[task.key] = Taken(task.key, task.media.kind, reason=result.reason)
                else:
                    known[task.key] = result
                    note(result)
                room.note(known[task.key].files)
                advance(1)
    return {text: known[key] for text, key in keys.items() if key in known}


def media_workers(jobs: int, limit_s: float = LIMIT_S) -> MediaWorkers:
    """Processes that open pictures and clips, for one corpus after the other. limit_s: for one picture or clip."""
    return Workers(take, jobs, limit_s, MEMORY)


def _portions(tasks: Iterator[MediaTask]) -> Iterator[list[MediaTask]]:
    """Group tasks for a cluster's workers: PORTION tasks, or fewer if they hold PORTION_BYTES of streamed data."""
    portion, size = list[MediaTask](), 0
    for task in tasks:
        portion.append(task)
        size += len(task.data) if isinstance(task.data, bytes) else 0
        if len(portion) == PORTION or size > PORTION_BYTES:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _key(corpus: str, text: str, raw: dict[str, RawFile], budget: Budget, raw_video: bool) -> str:
    """A key that changes when anything changes that decides the result."""
    row = json.loads(text)
    names = row.get("frames") or ([row["file"]] if "file" in row else [])
    stamp = [number for name in names for number in (raw[name].size, raw[name].path.stat().st_mtime_ns)]
    about = json.dumps([corpus, text, stamp, "clip" if raw_video else "frames", budget.to_json(), _opened_by()])
    return hashlib.sha256(about.encode()).hexdigest()[:24]


@cache
def _opened_by() -> list[str]:
    # when the code that opens media or the decoders change, all files are opened again
    code = source_hash("mmafflm.media.decode", "data_build.media.picture_hash")
    return [code, sha256_of(Path(__file__)), version("pillow"), version("av")]


def _stands(taken: Taken, data: Path) -> bool:
    return all(
        is_media_name(name) and (data / name).is_file() and (data / name).stat().st_size == size
        for name, size, _ in taken.files
    )


def _tasks(
    corpus: str, left: dict[str, str], raw: dict[str, RawFile], data: Path, budget: Budget, raw_video: bool
) -> Iterator[MediaTask]:
    """Yield files and members of zip archives first, then the members of each tar archive in one pass over it."""
    streams: dict[Path, dict[Steps, list[MediaTask]]] = {}
    for text, key in left.items():
        row = json.loads(text)
        media = RawMedia(**row | {name: tuple(row[name]) for name in ("box", "frames") if name in row})
        file = raw[media.file] if media.file else None
        frames = tuple(raw[name] for name in media.frames)
        task = MediaTask(key, media, corpus, str(data), budget, raw_video=raw_video, frames=frames)
        if file and not frames:
            task = replace(task, path=str(file.path), member=file.member, size=file.size)
        if file and not frames and file.member and file.streamed and file.size <= LARGEST:
            streams.setdefault(file.path, {}).setdefault(file.member, []).append(task)
        else:
            yield task
    for path, members in streams.items():
        for name, content in stream_members(path, set(members)):
            for task in members[name]:
                yield replace(task, data=content)


def take(task: MediaTask) -> Taken:
    """Open one picture or clip and store it within the budget. Runs in a worker."""
    media = task.media
    try:
        if task.frames:
            return _frames(task)
        content = _content(task)
        digest = hashlib.sha256(content).hexdigest()
        if media.kind == "image":
            picture = _cropped(_grey(content) if media.grey else open_picture(content), media.box)
            return _store(task, [task.budget.scaled(picture)], None, digest)
        clip = open_clip(content, task.budget, media.max_s, upright=not task.raw_video)
        if not task.raw_video:
            return _store(task, clip.frames, len(clip.frames), digest, "; ".join(clip.notes))
        if any(" long: " in note for note in clip.notes):
            raise Broken(f"{clip.notes[0]}, but --raw-video cannot cut clips")
        files = (_put(task, content, digest[:32], Path(media.file).suffix.lower() or ".mp4"),)
        told = (digest, f"{difference_hash(clip.frames[0]):016x}", "; ".join(clip.notes))
        return Taken(task.key, "video", files, *clip.frames[0].size, len(clip.frames), *told)
    except Broken as error:
        return Taken(task.key, media.kind, reason=str(error))
    except Unreadable as error:
        return Taken(task.key, media.kind, reason=error.why)


def _frames(task: MediaTask) -> Taken:
    """Open and store a clip that is distributed as frames, which must have the same size."""
    contents = [frame.read() if frame.streamed else _file(str(frame.path), frame.member) for frame in task.frames]
    pictures = [task.budget.scaled(open_picture(content), video=True) for content in contents]
    if odd := [frame.name for frame, one in zip(task.frames, pictures, strict=True) if one.size != pictures[0].size]:
        raise Broken(f"frames differ in size ({odd[0]})")
    return _store(task, pictures, len(pictures), hashlib.sha256(b"".join(contents)).hexdigest())


def _content(task: MediaTask) -> bytes:
    if task.size > LARGEST:
        raise Broken(f"file of {task.size / 1e9:.1f} GB is too large")
    if isinstance(task.data, Unreadable):
        raise task.data
    if task.data is not None:
        return task.data
    if task.media.grey is not None:
        return base64.b64decode(task.media.grey)
    return _file(task.path, task.member)


def _file(path: str, member: Steps | None) -> bytes:
    if member is not None:
        return read_zipped(Path(path), *member)
    with reading(path):
        return Path(path).read_bytes()


def _grey(content: bytes) -> Image.Image:
    side = int(len(content) ** 0.5)
    return Image.frombytes("L", (side, side), content).convert("RGB")


def _cropped(picture: Image.Image, box: tuple[int, int, int, int] | None) -> Image.Image:
    """The part of the picture inside the box, which may extend beyond the picture."""
    if box is None:
        return picture
    left, top = max(0, box[0]), max(0, box[1])
    right, bottom = min(picture.width, box[2]), min(picture.height, box[3])
    if right - left < 1 or bottom - top < 1:
        raise Broken(f"box {list(box)} is outside the picture of {picture.width} x {picture.height}")
    return picture.crop((left, top, right, bottom))


def _store(task: MediaTask, pictures: list[Image.Image], frames: int | None, digest: str, note: str = "") -> Taken:
    """Store a picture as PNG, or a clip's frames as BMP in a folder of their own. The name is a hash of all pixels.

    A frame of 170 x 96 takes 49 kB as BMP and 31 as PNG, but opens in 0.03 ms instead of 0.45: training opens it twice.
    """
    seen = hashlib.blake2b(digest_size=16)
    for picture in pictures:
        seen.update(f"{picture.width}x{picture.height}".encode() + picture.tobytes())
    name = seen.hexdigest()
    files = []
    for number, picture in enumerate(pictures):
        out = io.BytesIO()
        if frames is None:
            picture.save(out, "PNG", compress_level=1)  # level 6 takes three times as long for the same size
            files.append(_put(task, out.getvalue(), name, ".png"))
        else:
            picture.save(out, "BMP")
            files.append(_put(task, out.getvalue(), f"{name}/{number:03}", FRAME))
    told = (digest, f"{difference_hash(pictures[0]):016x}", note)
    return Taken(task.key, task.media.kind, tuple(files), *pictures[0].size, frames, *told)


def _put(task: MediaTask, content: bytes, name: str, suffix: str) -> tuple[str, int, str]:
    """Write one file below DATA/media, completely or not at all. Returns its path below DATA, size and SHA-256.

    Two workers may write the same content at the same time, so each has its own partial file.
    """
    place = f"{FOLDER}/{task.corpus}/{name[:2]}/{name}{suffix}"
    path = Path(task.root) / place
    digest = hashlib.sha256(content).hexdigest()
    if not path.is_file() or sha256_of(path) != digest:
        make_folder(path.parent)
        partial = path.with_name(f".{path.name}.{task.key}.partial")
        try:
            with writing(path):
                partial.write_bytes(content)
                partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    return place, len(content), digest
