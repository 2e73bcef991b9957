"""Every translation that was ever made for a build, on disk: nothing is translated twice, across runs and restarts."""

from collections.abc import Iterable
from pathlib import Path

from mmafflm.records import append_jsonl, drop_torn_line, read_jsonl

CACHE = ".translations.jsonl"  # in DATA; not part of the data
Key = tuple[str, str, str, str, str, str]  # engine, model, version, origin, target, text
FIELDS = ("engine", "model", "version", "from", "to", "text")


class Cache:
    """An append-only file; a line that a kill tore is dropped. For one process at a time."""

    def __init__(self, data: Path) -> None:
        self.path = data / CACHE
        drop_torn_line(self.path)
        rows = read_jsonl(self.path) if self.path.exists() else ()
        self.known: dict[Key, str] = {tuple(row[name] for name in FIELDS): row["translation"] for row in rows}

    def add(self, pairs: Iterable[tuple[Key, str]]) -> None:
        """Keep what was translated."""
        new = list(pairs)
        rows = (dict(zip(FIELDS, key, strict=True)) | {"translation": text} for key, text in new)
        append_jsonl(self.path, rows)
        self.known.update(new)
