"""Read a tar archive's members in one pass, unpacking a tar.gz on the way. It never seeks back."""

import gzip
import io
import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, cast

from data_build.reading.unreadable import BLOCK, Guarded, Member, Unreadable, is_bomb, printable, reading

# Most bytes of a header that only carries a long name or attributes. Python reads such headers into memory, and before
# 3.11.10 searched them in quadratic time: 64 kB of digits took 14 s, 16 kB took 1 s.
TAR_HEADER = 16 << 10
CARRIERS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)


class _Header(tarfile.TarInfo):
    """A header that raises ReadError if damaged. tarfile itself would take any but the first as the archive's end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Header":
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if len(buf) == tarfile.BLOCKSIZE and not any(buf):  # the end mark
                raise
            raise tarfile.ReadError(str(error)) from None
        if header.size < 0 or (header.type in CARRIERS and header.size > TAR_HEADER):
            raise tarfile.ReadError(f"a header of {header.size} bytes")
        return header


class _Packed:
    """The stream that GzipFile reads from; it counts the bytes."""

    def __init__(self, data: IO[bytes]) -> None:
        self.data, self.taken = data, 0

    def read(self, size: int = -1) -> bytes:
        block = self.data.read(size)
        self.taken += len(block)
        return block


class _Plain:
    """The unpacked bytes of a tar archive. Raises for a decompression bomb, and when read beyond the end."""

    def __init__(self, data: IO[bytes]) -> None:
        buffered = io.BufferedReader(cast(io.RawIOBase, data), BLOCK)
        self.given, self.packed = 0, _Packed(buffered)
        gzipped = buffered.peek(2)[:2] == b"\x1f\x8b"
        self.data = gzip.GzipFile(fileobj=cast(IO[bytes], self.packed)) if gzipped else self.packed

    def read(self, size: int = -1) -> bytes:
        """Some bytes for tarfile. Raises EOFError at the end of the data, which tarfile reads only if it is truncated.

        With b"" instead, tarfile would wait for ever.
        """
        if block := self.more(size):
            return block
        raise EOFError("it ends too early")

    def more(self, size: int = -1) -> bytes:
        """Some bytes; b"" at the end."""
        block = self.data.read(size)
        self.given += len(block)
        if is_bomb(self.given, self.packed.taken):
            raise tarfile.ReadError(f"it unpacks to over {self.given:,} bytes from {self.packed.taken:,}")
        return block


def tar_members(data: IO[bytes], path: Path) -> Iterator[Member]:
    """Yield the files without seeking back, so that a tar.gz within a tar.gz is read once.

    The archive is read to its end, where gzip has its checksum.
    """
    with reading(path):
        plain = _Plain(data)
        archive = tarfile.open(fileobj=cast(IO[bytes], plain), mode="r|", bufsize=BLOCK, tarinfo=_Header)  # noqa: SIM115
        info = archive.next()
    while info is not None:
        if info.isfile():
            yield Member((info.name,), info.size, partial(_content, archive, info, path))
        with reading(path):
            info = archive.next()
    with reading(path):
        while plain.more(BLOCK):
            pass


def _content(archive: tarfile.TarFile, info: tarfile.TarInfo, path: Path) -> IO[bytes]:
    name = printable(info.name)
    if info.issparse():  # tarfile does not check the list of holes, and may look for a byte for ever
        raise Unreadable(
            path, f"{name} is stored with holes (sparse)", "Unpack the archive and put its files in its place."
        )
    with reading(path, info.name):
        content = archive.extractfile(info)
        assert content is not None  # None only for members that are not files
        return io.BufferedReader(Guarded(content, path, info.name), BLOCK)
