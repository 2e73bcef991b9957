"""The rows that the build, training and evaluation exchange: Record and Prediction, as readable JSON Lines."""

import errno
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

import orjson

from mmafflm.benchmark.benchmark import benchmark
from mmafflm.benchmark.grammar import Gold
from mmafflm.errors import Fault
from mmafflm.files.inside import Folder, quoted
from mmafflm.files.writing import FULL, errno_of, make_folder, refusal, writing

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Record:
    """One example of MMAFFIn or MMAFFBen; the fields are those of a line of DATA/**/SUBSET_SPLIT.jsonl."""

    id: str
    subset: str
    task: str
    split: str
    language: str
    modality: str
    source: str  # the raw file, as a path below the corpus's folder, and the line
    messages: list[dict[str, str]]
    images: list[str]
    videos: list[str | list[str]]
    gold: Gold
    translated_from: dict[str, str] | None = None
    emotion: str | None = None  # written only for the intensity of one emotion
    group: str | None = None  # shared by the rows of a dialogue, film, picture or tweet: "dialogue:test/12"

    @property
    def prompt(self) -> str:
        """The text of the user's turn."""
        return self.messages[0]["content"]

    @property
    def answer(self) -> str:
        """The gold answer's text."""
        return self.messages[-1]["content"]

    def to_json(self) -> dict[str, Any]:
        """The record as the JSON object of one line. docs/reference/data-format.md describes its keys."""
        # dataclasses.asdict copies every message and takes five times as long
        row = {name: getattr(self, name) for name in self.__slots__}
        for name in ("emotion", "group"):
            if row[name] is None:
                del row[name]
        return row


def media_files(record: Record) -> list[str]:
    """Every picture, frame and clip of a record, as paths below DATA."""
    frames = ([video] if isinstance(video, str) else video for video in record.videos)
    return [*record.images, *(name for video in frames for name in video)]


@dataclass(frozen=True, slots=True)
class Prediction:
    """One raw answer of a model, as written to RUN/predictions/SUBSET.jsonl."""

    id: str
    prediction: str


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A row, or `rows` rows of one source, that the build read but did not keep."""

    corpus: str
    source: str
    reason: str
    detail: str
    rows: int = 1


def dump(row: Any) -> bytes:
    """One line of JSON with its newline. The same row always gives the same bytes."""
    line = orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
    return bytes(memoryview(line))  # a copy: orjson's own result keeps its whole buffer, several KB for each line kept


def read_jsonl(path: Path, growing: bool = False) -> Iterator[dict[str, Any]]:
    """The objects of a JSON Lines file. Raises Fault with the number of the first line that is not a JSON object.

    growing: another process may still be writing the last line. Reading then ends at a line without a newline.
    """
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if growing and not line.endswith(b"\n"):
                return
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise Fault(f"{path}:{number}: not JSON ({error.msg}). Restore the file, or make it again.") from None
            if not isinstance(row, dict):
                raise Fault(f"{path}:{number}: expected a JSON object, found {type(row).__name__}. Restore the file.")
            yield row


def read_records(path: Path) -> Iterator[Record]:
    """The records of DATA/FOLDER/FILE. Raises Fault for a line that is not a record or refers to a forbidden file."""
    data = Folder(path.parent.parent)
    for number, row in enumerate(read_jsonl(path), 1):
        try:
            record = to_record(row)
        except ValueError as error:
            raise Fault(f"{path}:{number}: not a record ({error}). Build the data again.") from None
        for fault in misnamed(record, data):
            raise Fault(f"{path}:{number}: {fault}. Remove the record, or get the data from its source.")
        yield record


def misnamed(record: Record, data: Folder) -> Iterator[str]:
    """The faults of a record's media: each forbidden path with the rule that it breaks, and a clip without frames."""
    for name in media_files(record):
        if why := data.fault(name):
            yield f"{quoted(name)}: {why}"
    if [] in record.videos:
        yield "a clip without frames"


def to_record(row: dict[str, Any]) -> Record:
    """Convert the JSON object of a line to a Record. The paths of its media are not checked; `misnamed` checks them.

    Raises ValueError for a missing or unknown field, a value of the wrong form, and a task that the subset does not
    have.
    """
    try:
        record = Record(**row)
    except TypeError as error:
        raise ValueError(str(error).replace("Record.__init__() ", "")) from None
    for name in _TEXTS:
        if not isinstance(getattr(record, name), str):
            raise ValueError(f"{name} is not a string")
    for name, is_right in _FORMS.items():
        if not is_right(getattr(record, name)):
            raise ValueError(f"{name} does not have the form that docs/reference/data-format.md describes")
    if (record.subset, record.task) not in _tasks():
        raise ValueError(f"{quoted(record.subset)} is not a subset with a task {quoted(record.task)}")
    return record


@cache
def _tasks() -> frozenset[tuple[str, str]]:
    """Every allowed pair of subset and task. A record may refer to a task by its kind or by its key."""
    return frozenset(
        (name, task) for name, subset in benchmark().items() for one in subset.tasks for task in (one.kind, one.key)
    )


def _is_turns(value: Any) -> bool:
    return isinstance(value, list) and len(value) >= 2 and all(
        isinstance(turn, dict) and isinstance(turn.get("role"), str) and isinstance(turn.get("content"), str)
        for turn in value
    )  # fmt: skip


def _is_gold(value: Any) -> bool:
    if isinstance(value, list):
        return all(isinstance(label, str) for label in value)
    numbers = value.values() if isinstance(value, dict) else [value]
    return all(isinstance(number, int | float) for number in numbers)


_TEXTS = ("id", "subset", "task", "split", "language", "modality", "source")
_FORMS: dict[str, Callable[[Any], bool]] = {
    "messages": _is_turns,
    "images": lambda value: isinstance(value, list),
    "videos": lambda value: isinstance(value, list) and all(isinstance(clip, str | list) for clip in value),
    "gold": _is_gold,
    "translated_from": lambda value: (
        value is None
        or (isinstance(value, dict) and all(isinstance(one, str) for one in value.values()) and "language" in value)
    ),
    "emotion": lambda value: value is None or isinstance(value, str),
    "group": lambda value: value is None or (isinstance(value, str) and ":" in value),
}


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    """Write all rows or nothing; returns the number of rows."""
    count = 0
    with replacing(path) as out:
        for row in rows:
            out.write(dump(row))
            count += 1
    return count


class replacing:
    """`with replacing(path) as out`: the file appears under its name only when the block ends without an exception.

    Raises Fault with the path when the file cannot be written or the disk is full. No partial file remains in any case.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.partial = path.with_name(f".{path.name}.partial")

    def __enter__(self) -> IO[bytes]:
        make_folder(self.path.parent)
        with writing(self.path):
            if self.path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(self.path))
            self.partial.unlink(missing_ok=True)
            self.out = self.partial.open("xb")  # not "wb", which would follow a link of this name
        return self.out

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, *_: object) -> None:
        try:
            with writing(self.path):
                self._close(keep=kind is None)
        finally:
            self.partial.unlink(missing_ok=True)
        if error is not None and errno_of(error) in FULL:
            raise Fault(refusal(error, self.path)) from None

    def _close(self, keep: bool) -> None:
        if not keep:
            with suppress(OSError):  # the rest of the buffer may not fit on the disk, and is not needed
                self.out.close()
            return
        try:
            self.out.flush()
            os.fsync(self.out.fileno())
        finally:
            self._close(keep=False)
        self.partial.replace(self.path)


def write_text(path: Path, text: str) -> None:
    """Write a text file, completely or not at all."""
    with replacing(path) as out:
        out.write(text.encode())


def append_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Append rows and flush them to the disk, usually in one write, so that a kill leaves at most one torn line.

    Raises Fault when the rows cannot be written; the file then has its old content.
    """
    make_folder(path.parent)
    with writing(path), path.open("ab", buffering=0) as out:
        before = out.seek(0, os.SEEK_END)
        left = memoryview(b"".join(map(dump, rows)))
        written = False
        try:
            while left:
                left = left[out.write(left) :]
            os.fsync(out.fileno())
            written = True
        finally:
            if not written:  # after Ctrl-C too: the next row must not be appended to half a line
                out.truncate(before)


def drop_torn_line(path: Path) -> None:
    """Remove a last line without a newline, which a killed process may leave. All lines before it stay."""
    if not path.exists():
        return
    data = path.read_bytes()
    if data and not data.endswith(b"\n"):
        with path.open("r+b") as out:
            out.truncate(data.rfind(b"\n") + 1)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()
