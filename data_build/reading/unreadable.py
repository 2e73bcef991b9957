"""The one kind of fault for raw bytes that cannot be read, and limits on how many bytes are read."""

import errno
import io
import lzma
import os
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from mmafflm.errors import Fault

Steps = tuple[str, ...]  # see archives.py
GIB = 1 << 30
BLOCK = 1 << 20  # bytes read at a time
WHOLE = 2 * GIB  # most bytes of a file that is read whole; the largest is a Parquet shard of MMS in an archive
# What unpacks to more than BOMB bytes may have at most RATIO times its packed size: a member of a zip, or all that was
# read of a tar.gz. The corpora's own tables unpack to 3 to 20 times their packed size; deflate can reach 1,000 times.
BOMB, RATIO = 256 << 20, 200

# What zipfile, tarfile, gzip, bz2 and lzma raise when bytes are damaged. NotImplementedError and RecursionError are
# RuntimeErrors, and UnicodeDecodeError is a ValueError.
DAMAGE = (
    OSError,
    EOFError,
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    RuntimeError,
    ValueError,
    OverflowError,
    MemoryError,
    LookupError,
    TypeError,
)


class Unreadable(Fault):
    """Raw bytes that cannot be read. A table that is unreadable ends the build; a picture or clip goes to quarantine.

    where: file or archive. why: the reason alone, without the path. fix: a sentence.
    """

    def __init__(self, where: object, why: str, fix: str) -> None:
        super().__init__(where, why, fix)  # all three, so that it can be pickled out of a worker process
        self.why = why

    def __str__(self) -> str:
        where, why, fix = self.args
        return f"{printable(str(where))}: {why}. {fix}"


@contextmanager
def reading(where: object, member: str = "") -> Iterator[None]:
    """Use this around every call that reads raw bytes: every exception that damage causes becomes Unreadable.

    where: the file, or the archive that holds `member`.
    """
    try:
        yield
    except DAMAGE as error:
        raise damaged(where, error, member) from None


def damaged(where: object, error: Exception, member: str = "") -> Unreadable:
    """The Unreadable for one of the DAMAGE exceptions."""
    if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # EINVAL: a seek before the beginning
        return Unreadable(where, f"cannot be read ({os.strerror(error.errno or 0)})", "Check it and its permissions.")
    if isinstance(error, UnicodeDecodeError):
        why = f"a name in it is not UTF-8 (byte {error.object[error.start]:#04x})"
        return Unreadable(where, why, "Unpack the archive and put its files in its place.")
    if isinstance(error, MemoryError):
        return Unreadable(where, "needs more memory than is available", "Unpack it, or download it again.")
    what = printable(f"{member}: {error or type(error).__name__}" if member else str(error) or type(error).__name__)
    return Unreadable(where, f"a broken or truncated archive ({what})", "Download it again.")


def printable(name: str) -> str:
    """A name for messages and records, in which line breaks, terminal codes and bytes other than UTF-8 are escaped."""
    if name.isprintable():
        return name
    return "".join(_escaped(letter) if _is_control(letter) else letter for letter in name)


def _is_control(letter: str) -> bool:
    return unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")


def _escaped(letter: str) -> str:
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # Python's stand-in for a byte of a name that is not UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def size_text(size: int) -> str:
    """A size in bytes as text for messages."""
    return f"{size / 1e9:,.1f} GB" if size >= 1e8 else f"{size / 1e6:,.1f} MB"


def check_size(where: object, size: int, limit: int) -> None:
    """Raises Unreadable when a file that is read into memory whole is larger than the limit, in bytes."""
    if size > limit:
        why = f"{size_text(size)}, and a file that is read whole may have at most {size_text(limit)}"
        raise Unreadable(where, why, "Replace it with the file that its source distributes.")


def is_bomb(size: int, packed: int) -> bool:
    """Whether `size` bytes are out of proportion to the packed bytes that they come from."""
    return size > BOMB and size > RATIO * packed


class Member(NamedTuple):
    """A file in an archive; `size` in bytes."""

    steps: Steps
    size: int
    open: Callable[[], IO[bytes]]  # valid until the next member is read; raises Unreadable


def gone(path: Path, steps: Steps) -> Unreadable:
    """The fault for a member that was listed before and is missing now."""
    return Unreadable(path, f"no member {printable('!'.join(steps))}", "It has changed: run the command again.")


class Guarded(io.RawIOBase):
    """A stream of raw bytes that raises Unreadable for whatever goes wrong while it is read. It cannot be rewound."""

    def __init__(self, content: IO[bytes], where: object, member: str = "") -> None:
        self.content, self.where, self.member = content, where, member

    def readable(self) -> bool:
        """True, as for every stream to read from."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer`; returns the number of bytes, 0 at the end. Raises Unreadable."""
        with reading(self.where, self.member):
            data = self.content.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        """The rest of the stream. Raises Unreadable."""
        with reading(self.where, self.member):
            return self.content.read()

    def close(self) -> None:
        """Also close the stream that this one reads from."""
        if not self.closed:
            self.content.close()
        super().close()
