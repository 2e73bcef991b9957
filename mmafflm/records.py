"""What passes between the wings: Record and Prediction, as JSON Lines that a person can open."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson

from mmafflm.errors import Fault
from mmafflm.grammar import Gold

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
    source: str  # raw file and line, below the corpus's folder
    messages: list[dict[str, str]]
    images: list[str]
    videos: list[str | list[str]]
    gold: Gold
    translated_from: dict[str, str] | None = None
    emotion: str | None = None  # written only where the task asks for one emotion's intensity

    @property
    def prompt(self) -> str:
        """The user's turn."""
        return self.messages[0]["content"]

    @property
    def answer(self) -> str:
        """The gold answer's text."""
        return self.messages[-1]["content"]

    def to_json(self) -> dict[str, Any]:
        """The JSON object of a line, keys in the order of the contract."""
        # not dataclasses.asdict: it copies every message, at five times the cost
        row = {name: getattr(self, name) for name in self.__slots__}
        if row["emotion"] is None:
            del row["emotion"]
        return row


def media_files(record: Record) -> list[str]:
    """Every picture, frame and clip of a record, below DATA."""
    frames = ([video] if isinstance(video, str) else video for video in record.videos)
    return [*record.images, *(name for video in frames for name in video)]


@dataclass(frozen=True, slots=True)
class Prediction:
    """One raw answer of a model, as it stands in RUN/predictions/SUBSET.jsonl."""

    id: str
    prediction: str


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A row, or `rows` rows of one source, that were read and not kept."""

    corpus: str
    source: str
    reason: str
    detail: str
    rows: int = 1


def dump(row: Any) -> bytes:
    """One line of JSON with its newline, the same bytes for the same row."""
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


def read_jsonl(path: Path, growing: bool = False) -> Iterator[dict[str, Any]]:
    """The objects of a JSON Lines file. Raises Fault naming the line that is not a JSON object.

    growing: somebody may be writing its last line just now; without its newline it is passed over.
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
                raise Fault(f"{path}:{number}: expected a JSON object, found {type(row).__name__}.")
            yield row


def read_records(path: Path) -> Iterator[Record]:
    """The records of one file. Raises Fault naming the line with a missing or foreign key."""
    for number, row in enumerate(read_jsonl(path), 1):
        try:
            yield Record(**row)
        except TypeError as error:
            raise Fault(f"{path}:{number}: not a record ({error}). Build the data again.") from None


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    """Write all rows, whole or not at all; returns their number."""
    count = 0
    with replacing(path) as out:
        for row in rows:
            out.write(dump(row))
            count += 1
    return count


class replacing:
    """`with replacing(path) as out`: the file appears under its name only when the block ends well."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.partial = path.with_name(f".{path.name}.partial")

    def __enter__(self) -> IO[bytes]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.out = self.partial.open("wb")
        return self.out

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.out.flush()
                os.fsync(self.out.fileno())
            self.out.close()
            if kind is None:
                self.partial.replace(self.path)
        finally:
            self.partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with replacing(path) as out:
        out.write(text.encode())


def append_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Append rows and flush them to the disk; each line is one write, so a kill leaves at most one torn line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as out:
        out.write(b"".join(map(dump, rows)))
        out.flush()
        os.fsync(out.fileno())


def drop_torn_line(path: Path) -> None:
    """Cut off a last line that a kill left without its newline; everything before it stays as it is."""
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
