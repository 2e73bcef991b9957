"""DATA, the folder that `mmaffin build` writes, as the training and the scoring wing read it."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from mmafflm.documents import read_json
from mmafflm.errors import Fault, UsageFault
from mmafflm.media import Budget
from mmafflm.records import Record, read_jsonl, read_records, sha256_of

MANIFEST = "manifest.json"
MEDIA_INDEX = "media/index.jsonl"  # every stored picture, frame and clip: file, bytes, sha256, ...
MIX = "mmaffin_train"  # the name of the training mix in dataset_info.json


def split_file(subset: str, split: str) -> str:
    """Where a split's records stand, below DATA: the tests under mmaffben/, the rest under mmaffin/."""
    return f"{'mmaffben' if split == 'test' else 'mmaffin'}/{subset}_{split}.jsonl"


def data_hash(files: dict[str, dict[str, Any]]) -> str:
    """One hash over all files of a build: SHA-256 of their names and hashes."""
    lines = "".join(f"{name} {files[name]['sha256']}\n" for name in sorted(files))
    return hashlib.sha256(lines.encode()).hexdigest()


@dataclass(frozen=True)
class Dataset:
    """A finished build. `manifest` is manifest.json; `files` in it lists every file with rows and SHA-256."""

    path: Path
    manifest: dict[str, Any]

    @classmethod
    def open(cls, path: Path) -> "Dataset":
        """Read the manifest. Raises UsageFault without a folder, Fault when the build is not finished."""
        if not path.is_dir():
            raise UsageFault(f"{path}: no such folder. Build it: mmaffin build --raw RAW --out {path}")
        if not (path / MANIFEST).exists():
            raise Fault(f"{path}: no manifest.json, so no finished build. Run: mmaffin build --raw RAW --out {path}")
        manifest = read_json(path / MANIFEST, "Build the data again.")
        return cls(path, manifest)

    @property
    def hash(self) -> str:
        """The build's hash, as run.json keeps it."""
        return str(self.manifest["data_hash"])

    @property
    def budget(self) -> Budget:
        """The pixel and frame budget that the build's pictures and clips were scaled to.

        Raises Fault when the manifest does not record it, as after an older `mmaffin build`.
        """
        config = self.manifest.get("config")
        found = config.get("budget") if isinstance(config, dict) else None
        try:
            return TypeAdapter(Budget).validate_python(found)
        except ValidationError as error:
            first = error.errors()[0]
            why = "no budget" if found is None else f"{'.'.join(map(str, ('budget', *first['loc'])))}: {first['msg']}"
            raise Fault(
                f"{self.path / MANIFEST}: {why} under config, so nobody knows what size its pictures and clips have. "
                "Build the data again with this version of mmaffin."
            ) from None

    @property
    def files(self) -> dict[str, dict[str, Any]]:
        """{path below DATA: {"rows", "sha256"}} of every file that the build wrote."""
        files: dict[str, dict[str, Any]] = self.manifest["files"]
        return files

    def subsets(self, split: str) -> list[str]:
        """The subsets that have this split, in the benchmark's order."""
        return [name for name, splits in self.manifest["subsets"].items() if split in splits]

    def records(self, subset: str, split: str) -> Iterator[Record]:
        """The records of one split, in file order."""
        return read_records(self.path / split_file(subset, split))

    def changes(self, names: Iterable[str] | None = None) -> list[str]:
        """What differs on disk from the manifest, a sentence each; all files when names is None."""
        found = []
        for name in self.files if names is None else names:
            path = self.path / name
            if name not in self.files:
                found.append(f"{path}: not in the manifest")
            elif not path.exists():
                found.append(f"{path}: missing")
            elif sha256_of(path) != self.files[name]["sha256"]:
                found.append(f"{path}: changed after the build (its SHA-256 is not the manifest's)")
        return found

    def require_unchanged(self, names: Iterable[str]) -> None:
        """Raises Fault when one of the files differs from the manifest."""
        if changes := self.changes(names):
            raise Fault("; ".join(changes) + ". Run mmaffin build again, or restore the files.")

    def require_media(self, names: Iterable[str]) -> None:
        """Raises Fault when a picture, frame or clip is not what the build has stored; by size, `mmaffin check` hashes.

        names: paths below DATA, as records name them.
        """
        wanted = set(names)
        if not wanted:
            return
        if MEDIA_INDEX not in self.files:
            raise Fault(
                f"{self.path}: its records name pictures, and {MEDIA_INDEX} is not in the manifest. Build again."
            )
        self.require_unchanged([MEDIA_INDEX])
        stored = {str(row["file"]): row["bytes"] for row in read_jsonl(self.path / MEDIA_INDEX)}
        for name in sorted(wanted):
            path = self.path / name
            size = path.stat().st_size if path.is_file() else None
            if size is None or size != stored.get(name):
                what = "missing" if size is None else "changed after the build (its size is not the index's)"
                raise Fault(f"{path}: {what}. Run mmaffin build again, it opens only what is not there.")
