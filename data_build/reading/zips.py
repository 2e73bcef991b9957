"""Open a zip archive's members, checking every limit before a byte is unpacked."""

import io
import stat
import zipfile
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import IO

from data_build.reading.unreadable import BLOCK, Guarded, Member, Unreadable, gone, is_bomb, printable, reading

READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
LOCAL_HEADER = 30  # bytes of a member's header before its name


class ZipArchive:
    """A zip archive. When several members have the same name, the first counts."""

    def __init__(self, data: IO[bytes], path: Path) -> None:
        self.path = path
        with reading(path):
            self.archive = zipfile.ZipFile(data)
        infos = self.archive.infolist()
        self.infos = [one for one in infos if not one.is_dir() and not stat.S_ISLNK(one.external_attr >> 16)]
        self.by_name = {info.filename: info for info in reversed(self.infos)}
        ordered = sorted(infos, key=lambda info: info.header_offset)
        ends = [(one, after.header_offset) for one, after in pairwise(ordered)]
        ends += [(one, self.archive.start_dir) for one in ordered[-1:]]
        # In a zip bomb, members share bytes, so that each may unpack to a thousand times its size.
        self.overlapping = {one.filename for one, end in ends if one.header_offset + _room(one) > end}

    def members(self) -> Iterator[Member]:
        """All members in the archive's order, including those that share a name."""
        for info in self.infos:
            yield Member((info.filename,), info.file_size, partial(self.open, info.filename))

    def open(self, name: str) -> IO[bytes]:
        """The member as a stream. Raises Unreadable when it is missing or refused, or when its header is damaged."""
        info = self.by_name.get(name)
        if info is None:
            raise gone(self.path, (name,))
        if why := self._refusal(info):
            raise Unreadable(
                self.path, f"{printable(name)} {why}", "Unpack the archive and put its files in its place."
            )
        with reading(self.path, name):
            return io.BufferedReader(Guarded(self.archive.open(info), self.path, name), BLOCK)

    def _refusal(self, info: zipfile.ZipInfo) -> str:
        if info.flag_bits & 1:
            return "is encrypted"
        if info.compress_type not in READABLE:
            return f"is compressed in a way that is not supported (method {info.compress_type})"
        if info.filename in self.overlapping:
            return "shares its bytes with another member, so the archive is damaged"
        if is_bomb(info.file_size, info.compress_size):
            return f"unpacks to {info.file_size:,} bytes from {info.compress_size:,}, which no corpus does"
        return ""


def _room(info: zipfile.ZipInfo) -> int:
    """The fewest bytes that a member takes in the archive."""
    return LOCAL_HEADER + info.compress_size
