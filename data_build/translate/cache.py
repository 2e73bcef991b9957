"""All translations ever made for a build, kept on disk, so that nothing is translated twice, even after a restart."""

from collections.abc import Iterable
from pathlib import Path

from mmafflm.records import append_jsonl, drop_torn_line, read_jsonl

CACHE = ".translations.jsonl"  # in DATA; not part of the data
Key = tuple[str, str, str, str, str, str]  # engine, model, version, origin, target, text
FIELDS = ("engine", "model", "version", "from", "to", "text")


class Cache:
    """An append-only file, for one process at a time. An incomplete last line, from a killed process, is removed."""

    def __init__(self, data: Path) -> None:
        self.path = data / CACHE
        drop_torn_line(self.path)
        rows = read_jsonl(self.path) if self.path.exists() else ()
        self.known: dict[Key, str] = {tuple(row[name] for name in FIELDS): row["translation"] for row in rows}

    def add(self, pairs: Iterable[tuple[Key, str]]) -> None:
        """Store translations."""
        new = list(pairs)
        rows = (dict(zip(FIELDS, key, strict=True)) | {"translation": text} for key, text in new)
        append_jsonl(self.path, rows)
        self.known.update(new)
