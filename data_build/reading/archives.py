"""List, open and stream the members of zip and tar archives, and of archives within them, without unpacking to disk.

A member's steps are its path in the archive, preceded by the path of each archive on the way to it:
("MELD.Raw/dev.tar.gz", "dev/dia0_utt0.mp4"). Member names are never used as paths on the disk, and links among the
members are ignored.
"""

import io
from collections.abc import Container, Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import IO

from data_build.reading.tars import tar_members
from data_build.reading.unreadable import GIB, Member, Steps, Unreadable, check_size, gone, printable, reading
from data_build.reading.zips import ZipArchive

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
# A zip archive within an archive is read into memory, because its directory is at its end. Larger ones are not opened.
INNER_ZIP = GIB
DEPTH = 4  # archives within archives; Kaggle's FER2013 and MELD need two


def is_archive(name: str) -> bool:
    """Whether the name is that of an archive."""
    return name.lower().endswith(ARCHIVES)


def is_litter(name: str) -> bool:
    """Whether a part of the path is __MACOSX or begins with a dot, as in files that operating systems add."""
    parts = PurePosixPath(name).parts
    return "__MACOSX" in parts or any(part.startswith(".") and part != ".." for part in parts)


def list_members(path: Path) -> list[tuple[Steps, int]]:
    """Steps and sizes in bytes of an archive's members. Reads all of a tar archive. Raises Unreadable."""
    with _opened(path) as data:
        return [(member.steps, member.size) for member in _members(data, path)]


def stream_members(path: Path, wanted: set[Steps]) -> Iterator[tuple[Steps, bytes | Unreadable]]:
    """Yield the wanted members with their bytes, in the archive's order, in one pass that ends after the last of them.

    wanted: steps as list_members returns them. For a member that cannot be read or is larger than 1 GiB, an Unreadable
    is yielded instead of its bytes. Raises Unreadable when the archive is broken or lacks a wanted member.
    """
    left = set(wanted)
    outer = {steps[:depth] for steps in wanted for depth in range(1, len(steps))}
    with _opened(path) as data:
        for member in _members(data, path, outer) if left else ():
            if member.steps in left:
                left.remove(member.steps)
                yield member.steps, _bytes(member, path)
                if not left:
                    return
    if left:
        why = f"{len(left)} members are gone, such as {printable('!'.join(min(left)))}"
        raise Unreadable(path, why, "Run the same command again.")


def _bytes(member: Member, path: Path) -> bytes | Unreadable:
    try:
        check_size(path, member.size, GIB)
        with member.open() as content:
            return content.read()
    except Unreadable as error:
        return error


def open_member(path: Path, steps: Steps) -> IO[bytes]:
    """Open one member as a stream. A tar archive, or a zip archive within an archive, is read from its start for this.

    Raises Unreadable when the archive is broken or lacks the member. Reading the stream can raise Unreadable too.
    """
    data: IO[bytes] = _opened(path)
    name = path.name
    for depth, step in enumerate(steps):
        if is_zip(name):
            data = ZipArchive(_inner(data, path) if depth else data, path).open(step)
        else:
            found = next((one for one in tar_members(data, path) if one.steps == (step,)), None)
            if found is None:
                raise gone(path, steps)
            data = found.open()
        name = step
    return data


def read_zipped(path: Path, name: str) -> bytes:
    """Read a member of a zip archive on the disk. Raises Unreadable."""
    with _kept_open(path).open(name) as data:
        return data.read()


@lru_cache(maxsize=1)
def _kept_open(path: Path) -> ZipArchive:
    """Keep the last archive open, to read its directory only once: one of 40 GB lists half a million members."""
    return ZipArchive(_opened(path), path)


def is_zip(name: str) -> bool:
    """Whether the name is that of a zip archive; every other archive is read as a tar archive."""
    return name.lower().endswith(".zip")


def _opened(path: Path) -> IO[bytes]:
    with reading(path):
        return path.open("rb")


def _inner(data: IO[bytes], path: Path) -> IO[bytes]:
    with reading(path), data:
        return io.BytesIO(data.read())


def _members(data: IO[bytes], path: Path, enter: Container[Steps] | None = None, above: Steps = ()) -> Iterator[Member]:
    """Yield an archive's members in one pass. Of an inner archive in `enter` (None: of every one) yield the members.

    Other inner archives are skipped, except two kinds that are yielded unopened: zip archives of over INNER_ZIP bytes,
    and archives that repeat the name of one that was entered.
    """
    outer = above[-1] if above else path.name
    entered: set[Steps] = set()  # when two archives have the same name, only the first can be opened by name
    for member in ZipArchive(data, path).members() if is_zip(outer) else tar_members(data, path):
        name = member.steps[0]
        if is_litter(name):
            continue
        full = member._replace(steps=(*above, name))
        if not is_archive(name) or (is_zip(name) and member.size > INNER_ZIP) or full.steps in entered:
            yield full
        elif enter is None or full.steps in enter:
            entered.add(full.steps)
            if len(full.steps) >= DEPTH:
                why = f"more than {DEPTH} archives within each other ({printable('!'.join(full.steps))[:200]})"
                raise Unreadable(path, why, "Unpack it.")
            inner = _inner(member.open(), path) if is_zip(name) else member.open()
            yield from _members(inner, path, enter, full.steps)
