"""The journal DATA/.media.jsonl: a line for each picture or clip that was opened, with its stored files or the
reason why nothing was stored. A picture or clip whose worker failed has no line, and the next build opens it again.

A share of a build (--shard I/N) has a journal of its own, DATA/.media.I-of-N.jsonl.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmafflm.records import append_jsonl, drop_torn_line, read_jsonl
from mmafflm.shard import WHOLE, Shard

JOURNAL, JOURNALS = ".media.jsonl", ".media*.jsonl"
TOGETHER = 50  # journal lines written at a time; a killed build loses at most this many lines


@dataclass(frozen=True)
class Taken:
    """What was stored of a picture or clip, or the reason why nothing was stored."""

    key: str
    kind: str
    files: tuple[tuple[str, int, str], ...] = ()  # path below DATA, bytes, SHA-256
    width: int = 0
    height: int = 0
    frames: int | None = None
    raw_sha256: str = ""
    dhash: str = ""  # picture_hash.difference_hash of the picture, or of the first frame, in hexadecimal
    note: str = ""
    reason: str = ""


@contextmanager
def writing_journal(data: Path, shard: Shard) -> Iterator[Callable[[Taken], None]]:
    """Append lines to the journal in groups, because syncing the disk takes as long as opening a small picture."""
    waiting: list[dict[str, Any]] = []

    def note(taken: Taken) -> None:
        waiting.append(asdict(taken))
        if len(waiting) == TOGETHER:
            flush()

    def flush() -> None:
        append_jsonl(data / journal_of(shard), waiting)
        waiting.clear()

    try:
        yield note
    finally:
        flush()


def read_journal(data: Path, shard: Shard = WHOLE) -> dict[str, Taken]:
    """Read the journals of the build and of all shares, by key. If a key has several lines, the last one counts.

    shard: the share of this process; an incomplete last line is removed from its journal file.
    """
    drop_torn_line(data / journal_of(shard))
    paths = sorted(data.glob(JOURNALS))
    rows = (row for path in paths for row in read_jsonl(path, growing=True))  # another share may be writing
    return {row["key"]: Taken(**row | {"files": tuple(map(tuple, row["files"]))}) for row in rows}


def journal_of(shard: Shard) -> str:
    """The file name of a share's journal, to which only one process writes."""
    return JOURNAL if shard.of == 1 else f".media.{shard.folder}.jsonl"
