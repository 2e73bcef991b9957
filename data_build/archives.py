"""Zip and tar archives read where they lie, archives within archives included: listed, opened, streamed.

A member's name is its path in the archive; of an archive within the archive, `MELD.Raw/dev.tar.gz!dev/dia0_utt0.mp4`.
Names are never taken for places on the disk, and links among the members are passed over.
"""

import gzip
import io
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Container, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple, cast

from mmafflm.errors import Fault

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile)  # what a broken archive raises
BLOCK = 1 << 20  # bytes read at a time
# A zip archive within an archive is read into memory, for its directory stands at its end. A larger one stays shut.
INNER_ZIP = 1 << 30
STEP = re.compile(r"(?<=\.zip)!|(?<=\.tar)!|(?<=\.tgz)!|(?<=\.tar\.gz)!")


class _Member(NamedTuple):
    name: str
    size: int
    open: Callable[[], IO[bytes]]  # good until the next member is drawn


class _Header(tarfile.TarInfo):
    """tarfile takes any unreadable header but the first for the end of the archive; here only the end mark is."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Header":
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if len(buf) == tarfile.BLOCKSIZE and not any(buf):  # the end mark
                raise
            raise tarfile.ReadError(str(error)) from None


def broken(path: Path, error: Exception) -> Fault:
    """The sentence for an archive that cannot be read."""
    return Fault(f"{path}: a broken or truncated archive ({error}). Download it again.")


def is_litter(name: str) -> bool:
    """Whether only an operating system wrote that file."""
    parts = PurePosixPath(name).parts
    return "__MACOSX" in parts or any(part.startswith(".") and part != ".." for part in parts)


def steps(member: str) -> list[str]:
    """The path in each archive on the way to a member; the member's own comes last."""
    return STEP.split(member)


def list_members(path: Path) -> list[tuple[str, int]]:
    """Names and sizes in bytes of an archive's members. Reads a tar archive whole. Raises Fault when it is broken."""
    try:
        with path.open("rb") as data:
            return [(member.name, member.size) for member in _members(data, path.name)]
    except BROKEN as error:
        raise broken(path, error) from None


def stream_members(path: Path, wanted: set[str]) -> Iterator[tuple[str, bytes]]:
    """The wanted members of one archive with their bytes, in its order, in one pass that ends with the last of them.

    wanted: names as list_members gives them. Raises Fault when the archive is broken or lacks one of them.
    """
    left = set(wanted)
    outer = {member[: step.start()] for member in wanted for step in STEP.finditer(member)}
    try:
        with path.open("rb") as data:
            for member in _members(data, path.name, outer) if left else ():
                if member.name in left:
                    left.remove(member.name)
                    yield member.name, member.open().read()
                    if not left:
                        return
    except BROKEN as error:
        raise broken(path, error) from None
    if left:
        raise Fault(f"{path}: {len(left)} members are gone, such as {min(left)}. Run the same command again.")


def open_member(path: Path, member: str) -> IO[bytes]:
    """One member as a stream; in a zip archive at once, in a tar archive after what stands before it.

    Raises one of BROKEN when the archive is broken, Fault when it lacks the member.
    """
    data: IO[bytes] = path.open("rb")
    name = path.name
    for depth, step in enumerate(steps(member)):
        if name.endswith(".zip"):
            archive = zipfile.ZipFile(io.BytesIO(data.read()) if depth else data)
            data = archive.open(step)
        else:
            found = next((one for one in _tar(data) if one.name == step), None)
            if found is None:
                raise Fault(f"{path}: no member {member}. Run the same command again.")
            data = found.open()
        name = step
    return data


def _members(data: IO[bytes], name: str, enter: Container[str] | None = None, prefix: str = "") -> Iterator[_Member]:
    """The members of an archive in one pass; of those archives among them that are in `enter` (None: all), theirs."""
    for member in _zip(data) if name.endswith(".zip") else _tar(data):
        if is_litter(member.name):
            continue
        full = member._replace(name=prefix + member.name)
        is_zip = member.name.endswith(".zip")
        if not member.name.endswith(ARCHIVES) or (is_zip and member.size > INNER_ZIP):
            yield full
        elif enter is None or full.name in enter:
            inner = io.BytesIO(member.open().read()) if is_zip else member.open()
            yield from _members(inner, member.name, enter, f"{full.name}!")


def _zip(data: IO[bytes]) -> Iterator[_Member]:
    with zipfile.ZipFile(data) as archive:
        for info in archive.infolist():
            if not info.is_dir() and not stat.S_ISLNK(info.external_attr >> 16):
                yield _Member(info.filename, info.file_size, partial(archive.open, info))


def _tar(data: IO[bytes]) -> Iterator[_Member]:
    """Never seeks back, so a tar.gz within a tar.gz is read once; reads to the end, where gzip has its checksum."""
    buffered = io.BufferedReader(cast(io.RawIOBase, data), BLOCK)
    gzipped = buffered.peek(2)[:2] == b"\x1f\x8b"
    plain: IO[bytes] = gzip.GzipFile(fileobj=buffered) if gzipped else buffered  # type: ignore[assignment]
    archive = tarfile.open(fileobj=plain, mode="r|", bufsize=BLOCK, tarinfo=_Header)  # noqa: SIM115 - members outlive it
    for info in archive:
        if info.isfile():
            yield _Member(info.name, info.size, partial(_content, archive, info))
    while plain.read(BLOCK):
        pass


def _content(archive: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    content = archive.extractfile(info)
    assert content is not None  # only of what is no file
    return io.BufferedReader(_Forward(content))


class _Forward(io.RawIOBase):
    """A tar member that says it cannot be rewound: tarfile's own raises when io.TextIOWrapper asks (Python 3.11)."""

    def __init__(self, content: IO[bytes]) -> None:
        self.content = content

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.content.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
