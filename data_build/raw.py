"""Raw files as the user put them down: in folders or in the source's own zip or tar archives, read without unpacking.

Nothing is ever extracted, so no member of an archive can be written anywhere.
"""

import csv
import gzip
import hashlib
import io
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Literal, NamedTuple

from mmafflm.errors import Fault

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile)  # what a broken archive raises

# A stray quotation mark makes one field of thousands of lines; csv would stop at 128 KiB.
csv.field_size_limit(sys.maxsize)


@dataclass(frozen=True)
class RawFile:
    """A file below a corpus's folder, or a member of an archive there.

    `name` is its path below the corpus's folder, `archive.zip!member` for a member; `size` is in bytes.
    """

    name: str
    path: Path  # the file itself, or the archive
    member: str | None
    size: int

    @property
    def basename(self) -> str:
        """The last part of the name, without folders or archive."""
        return PurePosixPath(self.member or self.name).name

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
            if self.path.name.endswith(".zip"):
                return zipfile.ZipFile(self.path).open(self.member)
            stream = tarfile.open(self.path).extractfile(self.member)  # noqa: SIM115 - the member needs it open
            return stream or io.BytesIO()
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


def broken(path: Path, error: Exception) -> Fault:
    """The sentence for an archive that cannot be read."""
    return Fault(f"{path}: a broken or truncated archive ({error}). Download it again.")


def list_raw(root: Path) -> list[RawFile]:
    """Every file below a corpus's folder and in archives there, sorted by name.

    Files that only an operating system wrote (__MACOSX, ._*, .DS_Store) are passed over.
    Raises Fault when an archive cannot be opened.
    """
    files: list[RawFile] = []
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if not path.is_file() or _is_litter(name):
            continue
        if name.endswith(ARCHIVES):
            files.extend(member for member in _members(path, name) if not _is_litter(member.member or ""))
        else:
            files.append(RawFile(name, path, None, path.stat().st_size))
    return sorted(files, key=lambda file: file.name)


def _is_litter(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return "__MACOSX" in parts or any(part.startswith(".") for part in parts)


def _members(path: Path, name: str) -> Iterator[RawFile]:
    try:
        if name.endswith(".zip"):
            with zipfile.ZipFile(path) as archive:
                for info in archive.infolist():
                    if not info.is_dir():
                        yield RawFile(f"{name}!{info.filename}", path, info.filename, info.file_size)
        else:
            with tarfile.open(path) as archive:
                for member in archive:
                    if member.isfile():
                        yield RawFile(f"{name}!{member.name}", path, member.name, member.size)
    except BROKEN as error:
        raise broken(path, error) from None


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
