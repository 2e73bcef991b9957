"""Raw files as the user provides them: in folders, or in the source's zip or tar archives, read without unpacking.

Nothing is ever extracted, so no member of an archive can be written anywhere, whatever its name.
"""

import csv
import hashlib
import io
import json
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Literal, NamedTuple

from data_build.reading.archives import is_archive, is_litter, is_zip, list_members, open_member, stream_members
from data_build.reading.encodings import decode
from data_build.reading.unreadable import (
    BLOCK,
    WHOLE,
    Guarded,
    Steps,
    Unreadable,
    check_size,
    printable,
    reading,
    size_text,
)
from mmafflm.errors import Fault
from mmafflm.records import write_text
from mmafflm.terminal.command import say

TEXT = 256 << 20  # most bytes of a text that is read whole; the largest, samsemo.tsv, has 41 MB
POINTER_SIZES = range(120, 200)  # bytes that a Git LFS pointer may have
POINTER_START = b"version https://git-lfs.github.com/spec/"
LINE = 16 << 20  # most characters of a line in a table that is read line by line
# A stray quotation mark can make a single field of thousands of lines. csv's default limit is 128 KiB.
csv.field_size_limit(TEXT)


@dataclass(frozen=True, slots=True)  # slots: SAMSEMO's zips hold hundreds of thousands of pictures
class RawFile:
    """A file below a corpus's folder, or a member of an archive there.

    `name` is printable and unique, for messages and records: the path below the corpus's folder. A member's name is
    the archive's, followed by ! and the steps, such as `train.zip!clips/a.mp4`. `member`: the steps, see archives.py.
    `size` is in bytes.
    """

    name: str
    path: Path  # the file itself, or the archive
    member: Steps | None
    size: int

    @property
    def inside(self) -> str:
        """A member's path in its innermost archive; of other files the path below the corpus's folder."""
        return printable(self.member[-1]) if self.member else self.name

    @property
    def basename(self) -> str:
        """The last part of the name, without folders or archive."""
        return PurePosixPath(self.inside).name

    @property
    def streamed(self) -> bool:
        """Whether reading it means reading its archive from the start. For many such files, use `stream_members`."""
        return self.member is not None and (not is_zip(self.path.name) or len(self.member) > 1)

    def read(self, limit: int = WHOLE) -> bytes:
        """All bytes. Raises Unreadable, also when there are more than `limit` bytes."""
        check_size(self.name, self.size, limit)
        with self.open() as data:
            return data.read()

    def open(self) -> IO[bytes]:
        """The bytes as a stream. Raises Unreadable, here or while it is read."""
        if self.member is not None:
            return open_member(self.path, self.member)
        with reading(self.path):
            return io.BufferedReader(Guarded(self.path.open("rb"), self.path), BLOCK)

    def sha256(self) -> str:
        """SHA-256 of the bytes, in hexadecimal."""
        digest = hashlib.sha256()
        with self.open() as data:
            while block := data.read(BLOCK):
                digest.update(block)
        return digest.hexdigest()

    def text(self, *also: str) -> str:
        """The text without a BOM. The encoding is found from the bytes. also: see encodings.decode. Raises Fault."""
        return decode(self.read(TEXT), self.name, also)


class CsvRow(NamedTuple):
    """The fields of one CSV row, and the physical line (from 1) where it starts."""

    line: int
    fields: list[str]


def csv_rows(
    name: str, text: str, delimiter: str = ",", quoting: Literal[0, 3] = csv.QUOTE_MINIMAL
) -> Iterator[CsvRow]:
    """The rows of a CSV text in memory, without blank lines. Malformed quotes are read as the csv module reads them.

    Raises Fault, with `name` and the first line of the row, for a row that the csv module does not accept.
    """
    return _csv(name, io.StringIO(text, newline=""), delimiter, quoting)


def stream_csv(file: RawFile, delimiter: str = ",") -> Iterator[CsvRow]:
    """The rows of a UTF-8 CSV file, without blank lines, read line by line.

    In memory, the 300 MB of FER2013's table would take 1.8 GB, because io.StringIO takes four bytes per character.
    Raises Fault, with the line number, for text that is not UTF-8 or not CSV and for a line of over LINE characters.
    """
    with file.open() as data:
        yield from _csv(file.name, _lines(file, data), delimiter, csv.QUOTE_MINIMAL)


def _lines(file: RawFile, data: IO[bytes]) -> Iterator[str]:
    text, number = io.TextIOWrapper(data, encoding="utf-8-sig", newline=""), 1
    try:
        for line in iter(partial(text.readline, LINE + 1), ""):
            if len(line) > LINE:
                why = f"line {number} has more than {LINE:,} characters"
                raise Unreadable(file.name, why, "Put back the file as distributed.")
            yield line
            number += 1
    except UnicodeDecodeError as error:
        raise Fault(
            f"{file.name}:{number}: not UTF-8 here or shortly after ({error.reason}). "
            "Save the file as UTF-8, or download it again."
        ) from None


def _csv(name: str, lines: Iterator[str], delimiter: str, quoting: Literal[0, 3]) -> Iterator[CsvRow]:
    reader = csv.reader(lines, delimiter=delimiter, quoting=quoting)
    line = 1
    try:
        for fields in reader:
            if fields:
                yield CsvRow(line, fields)
            line = reader.line_num + 1
    except csv.Error as error:
        raise Fault(f"{name}:{line}: not CSV ({error}). Put back the file as distributed.") from None


def list_raw(root: Path, cache: Path | None = None) -> list[RawFile]:
    """Every file below a corpus's folder and in archives there, also archives within archives, sorted by name.

    Files and folders whose name begins with a dot, and __MACOSX, are ignored. These are ignored with a message: a link
    that leads out of the folder, a pipe, a socket, a broken link, and all but the first of members with the same name.
    cache: a folder for the listings of tar archives, which take minutes to make.
    Raises Unreadable when a folder or an archive cannot be read, Fault when a file is a Git LFS pointer.
    """
    files: dict[str, RawFile] = {}
    for path in _walk(root):
        name = printable(path.relative_to(root).as_posix())
        size = _size(path)
        found = [RawFile(name, path, None, size)] if size is not None else []
        if found and is_archive(path.name) and not is_pointer(found[0]):
            members = _listing(path, cache)
            found = [RawFile(printable("!".join((name, *steps))), path, steps, size) for steps, size in members]
        for file in found:
            if files.setdefault(file.name, file) is not file:
                say(f"{printable(str(path))}: several members are named {file.name}; the first is used.")
            elif file.member and is_archive(file.basename):
                say(f"{file.name}: an archive of {size_text(file.size)} in an archive, which is not opened. Unpack it.")
    listed = sorted(files.values(), key=lambda file: file.name)
    refuse_pointers(root, listed)
    return listed


def is_pointer(file: RawFile) -> bool:
    """Whether the file is a Git LFS pointer, which git stores instead of a large file that git-lfs has to download."""
    if file.size not in POINTER_SIZES:
        return False
    try:
        return file.read().startswith(POINTER_START)
    except Unreadable:
        return False  # whatever reads the file later reports what is wrong with it


def refuse_pointers(root: Path, files: list[RawFile]) -> None:
    """Raises Fault when a file is a pointer. A tar archive is read once, if it has files of a pointer's size."""
    packed: dict[Path, dict[Steps, RawFile]] = {}
    for file in files:
        if file.streamed and file.size in POINTER_SIZES and file.member:
            packed.setdefault(file.path, {})[file.member] = file
    found = [file for file in files if not file.streamed and is_pointer(file)]
    for path, members in packed.items():
        for steps, content in stream_members(path, set(members)):
            if isinstance(content, bytes) and content.startswith(POINTER_START):
                found.append(members[steps])
    if found:
        more = f", and so are {len(found) - 1:,} more files" if len(found) > 1 else ""
        raise Fault(
            f"{root}: {found[0].name} is a Git LFS pointer{more}; run git lfs pull in the clone, or remove what is not "
            "needed."
        )


def _walk(root: Path) -> Iterator[Path]:
    """Yield every path below the folder except folders, litter (is_litter) and links that lead out of the folder.

    A link to a folder inside is yielded but not followed.
    """
    folders = [root]
    while folders:
        folder = folders.pop()
        with reading(folder):
            entries = sorted(folder.iterdir())
        for path in entries:
            if is_litter(path.relative_to(root).as_posix()) or _leads_out(path, root):
                continue
            if path.is_symlink() or not path.is_dir():
                yield path
            else:
                folders.append(path)


def _leads_out(path: Path, root: Path) -> bool:
    """Whether the path is a link that leads out of the folder. If so, print that it is skipped."""
    if not path.is_symlink():
        return False
    target = Path(os.path.realpath(path))
    if target.is_relative_to(os.path.realpath(root)):
        return False
    say(
        f"{printable(str(path))}: a link to {printable(str(target))}, outside {root}; skipped. "
        f"Put the files into {root}, or make {root} itself a link."
    )
    return True


def _size(path: Path) -> int | None:
    """The size of a file in bytes. None for a link to a folder; None, with a message, for a pipe or a broken link."""
    try:
        with reading(path):
            found = path.stat()
    except Unreadable as error:
        say(f"{error} Skipped.")  # for example a link to nothing or to itself
        return None
    if stat.S_ISREG(found.st_mode):
        return found.st_size
    if not stat.S_ISDIR(found.st_mode):
        say(f"{printable(str(path))}: neither a file nor a folder; skipped.")
    return None


def _listing(path: Path, cache: Path | None) -> list[tuple[Steps, int]]:
    """Steps and sizes of an archive's members. A zip archive has a directory, so it needs no cache."""
    if cache is None or is_zip(path.name):
        return list_members(path)
    about = path.stat()
    # 2: the version of the listing's format
    key = hashlib.sha256(f"2 {path.resolve()} {about.st_size} {about.st_mtime_ns}".encode(errors="backslashreplace"))
    kept = cache / f"{key.hexdigest()[:32]}.json"
    if not kept.exists():
        say(f"{printable(str(path))}: listing its members, which reads the whole file")
        write_text(kept, json.dumps(list_members(path)))
    return [(tuple(steps), size) for steps, size in json.loads(kept.read_text(encoding="utf-8"))]


def one_of(copies: list[RawFile], rank: Callable[[RawFile], object] = lambda file: 0) -> RawFile:
    """Choose one of several copies of a file: the one of the lowest rank; among equals, the one with the shortest name.

    Copies of that rank may differ in a BOM, line ends and empty lines at the end. Raises Fault for other differences.
    """
    chosen = min(copies, key=lambda file: (rank(file), len(file.name), file.name))
    rivals = [file for file in copies if file is not chosen and rank(file) == rank(chosen)]
    for rival in rivals:
        if rival.sha256() != chosen.sha256() and _plain(rival) != _plain(chosen):
            raise Fault(f"{chosen.name} and {rival.name}: two different copies of one file. Remove the wrong one.")
    return chosen


def _plain(file: RawFile) -> bytes:
    return file.read().removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").rstrip(b"\n")
