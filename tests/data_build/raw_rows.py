"""Read a small raw folder with a corpus's reader, for the tests of the corpora; write raw files and hash folders."""

import json
import os
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest

from data_build.reading.corpus import EXAMPLES, QUARANTINE, Corpus
from data_build.reading.raw import list_raw
from mmafflm.errors import Fault
from mmafflm.records import sha256_of
from tests.paths import SHARED


class Read(NamedTuple):
    examples: list[dict[str, Any]]  # gold decoded
    bad: list[dict[str, Any]]

    @property
    def texts(self) -> list[str]:
        return [row["text"] for row in self.examples]

    @property
    def gold(self) -> list[Any]:
        return [row["gold"] for row in self.examples]

    @property
    def reasons(self) -> list[str]:
        return [row["reason"] for row in self.bad]


def read_all(corpus: Corpus, root: Path, **options: Any) -> Read:
    """Every row of every part, checked against the protocol's schemas."""
    chosen = {**corpus.options, **options}
    examples, bad = [], []
    parts = corpus.find(list_raw(root), chosen)
    assert len({part.name for part in parts}) == len(parts)
    for part in parts:
        for rows in corpus.read(part, chosen):
            assert rows.examples.schema == EXAMPLES and rows.bad.schema == QUARANTINE
            examples.append(rows.examples)
            bad.append(rows.bad)
    kept = pl.concat([EXAMPLES.to_frame(), *examples]).to_dicts()
    assert all(row["source"] for row in kept)
    return Read(
        [{**row, "gold": json.loads(row["gold"])} for row in kept],
        pl.concat([QUARANTINE.to_frame(), *bad]).to_dicts(),
    )


def fault_of(corpus: Corpus, root: Path) -> str:
    """The message with which the reader refuses the folder."""
    with pytest.raises(Fault) as fault:
        read_all(corpus, root)
    return str(fault.value)


def hashes(root: Path) -> dict[str, str]:
    """The SHA-256 of every file below a folder, except hidden ones in the folder itself."""
    files = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    return {name: sha256_of(path) for name, path in files.items() if not name.startswith(".")}


def put(root: Path, name: str, text: str | bytes) -> Path:
    """Write a raw file with exactly these bytes."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def zipped(path: Path, members: dict[str, str]) -> Path:
    """A zip archive with these members."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


def real(corpus: str) -> Path:
    """The folder of a real corpus; the test is skipped when it is missing."""
    beside = SHARED / "raw"
    root = Path(os.environ.get("MMAFFLM_RAW", beside)) / corpus
    if not root.is_dir():
        pytest.skip(f"no real {corpus} in {root}; set MMAFFLM_RAW")
    return root
