"""Raw files as the user put them down: in folders or in the source's own zip or tar archives, read without unpacking.

Nothing is ever extracted, so no member of an archive can be written anywhere, whatever its name.
"""

import csv
import hashlib
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Literal, NamedTuple

from data_build.archives import ARCHIVES, BROKEN, broken, is_litter, list_members, open_member, steps
from mmafflm.command import say
from mmafflm.errors import Fault
from mmafflm.records import write_text

# A stray quotation mark makes one field of thousands of lines; csv would stop at 128 KiB.
csv.field_size_limit(sys.maxsize)


@dataclass(frozen=True, slots=True)  # slots: the zips of SAMSEMO hold pictures by the hundred thousand
class RawFile:
    """A file below a corpus's folder, or a member of an archive there.

    `name` is its path below the corpus's folder, `archive.zip!member` for a member, and `member` is itself
    `train.tar.gz!clip.mp4` in an archive within the archive; `size` is in bytes.
    """

    name: str
    path: Path  # the file itself, or the archive
    member: str | None
    size: int

    @property
    def basename(self) -> str:
        """The last part of the name, without folders or archive."""
        return PurePosixPath(steps(self.member)[-1] if self.member else self.name).name

    @property
    def streamed(self) -> bool:
        """Whether reading it means reading its archive from the start: of many, take `stream_members`."""
        return self.member is not None and (not self.path.name.endswith(".zip") or len(steps(self.member)) > 1)

    def read(self) -> bytes:
        """All bytes. Raises Fault when the archive is broken."""
        with self.open() as data:
            try:
                return data.read()
            except BROKEN as error:
                raise broken(self.path, error) from None

    def open(self) -> IO[bytes]:
        """The bytes as a stream. Raises Fault when the archive is broken."""
        if self.member is None:
            return self.path.open("rb")
        try:
            return open_member(self.path, self.member)
        except BROKEN as error:
            raise broken(self.path, error) from None

    def sha256(self) -> str:
        """SHA-256 of the bytes, in hexadecimal."""
        digest = hashlib.sha256()
        with self.open() as data:
            try:
                while block := data.read(1 << 20):
                    digest.update(block)
            except BROKEN as error:
                raise broken(self.path, error) from None
        return digest.hexdigest()

    def text(self) -> str:
        """The file as UTF-8 text without a BOM, line ends as they are. Raises Fault naming the first bad line."""
        data = self.read()
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data[: error.start].count(b"\n") + 1
            raise Fault(
                f"{self.name}:{line}: not UTF-8 (byte {data[error.start]:#04x}). "
                "Save the file as UTF-8, or download it again."
            ) from None


class CsvRow(NamedTuple):
    """The fields of one CSV row and the physical line (from 1) at which it starts."""

    line: int
    fields: list[str]


def csv_rows(text: str, delimiter: str = ",", quoting: Literal[0, 3] = csv.QUOTE_MINIMAL) -> Iterator[CsvRow]:
    """The rows of a CSV text that is read whole, blank lines left out. Malformed quotes are read as csv reads them."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting)
    line = 1
    for fields in reader:
        if fields:
            yield CsvRow(line, fields)
        line = reader.line_num + 1


def list_raw(root: Path, cache: Path | None = None) -> list[RawFile]:
    """Every file below a corpus's folder and in archives there, archives within them included, sorted by name.

    Files that only an operating system wrote (__MACOSX, ._*, .DS_Store) are passed over; so is, with a message, a link
    that leads out of the folder. cache: a folder that keeps the listings of tar archives, which take minutes to make.
    Raises Fault when an archive cannot be read.
    """
    files: list[RawFile] = []
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if is_litter(name) or _leads_out(path, root) or not path.is_file():
            continue
        if name.endswith(ARCHIVES):
            files.extend(RawFile(f"{name}!{member}", path, member, size) for member, size in _listing(path, cache))
        else:
            files.append(RawFile(name, path, None, path.stat().st_size))
    return sorted(files, key=lambda file: file.name)


def _leads_out(path: Path, root: Path) -> bool:
    """Whether it is a link to elsewhere: what a corpus is made of lies in its folder, and nothing is read twice."""
    target = Path(os.path.realpath(path))
    if not path.is_symlink() or target.is_relative_to(os.path.realpath(root)):
        return False
    say(f"{path}: a link to {target}, outside {root}; passed over. Put the files there, or link the whole folder.")
    return True


def _listing(path: Path, cache: Path | None) -> list[tuple[str, int]]:
    """Names and sizes of an archive's members; a zip archive has a directory and needs no cache."""
    if cache is None or path.name.endswith(".zip"):
        return list_members(path)
    stat = path.stat()
    key = hashlib.sha256(f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}".encode()).hexdigest()[:16]
    kept = cache / f"{path.name}.{key}.json"
    if not kept.exists():
        say(f"{path}: listing its members, which means reading all of it")
        write_text(kept, json.dumps(list_members(path)))
    return [(name, size) for name, size in json.loads(kept.read_text(encoding="utf-8"))]


def one_of(copies: list[RawFile], prefer: Callable[[RawFile], object] = lambda file: 0) -> RawFile:
    """One file out of several copies of it: the preferred, then the shortest name.

    Copies may differ in a BOM and in line ends. Raises Fault when they differ in anything else.
    """
    chosen = min(copies, key=lambda file: (prefer(file), len(file.name), file.name))
    rivals = [file for file in copies if file is not chosen and prefer(file) == prefer(chosen)]
    for rival in rivals:
        if rival.sha256() != chosen.sha256() and _plain(rival) != _plain(chosen):
            raise Fault(f"{chosen.name} and {rival.name}: two different copies of one file. Remove the wrong one.")
    return chosen


def _plain(file: RawFile) -> bytes:
    return file.read().removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").rstrip(b"\n")
