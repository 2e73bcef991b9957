"""DATA, the folder that `mmaffin build` writes, as training and evaluation read it."""

import hashlib
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from mmafflm.benchmark.benchmark import benchmark
from mmafflm.errors import Fault, UsageFault
from mmafflm.files.documents import first_wrong, read_json
from mmafflm.files.inside import Folder, is_below, quoted, require_inside
from mmafflm.media.budget import Budget
from mmafflm.records import SPLITS, Record, read_jsonl, read_records, sha256_of

MANIFEST = "manifest.json"
MEDIA_INDEX = "media/index.jsonl"  # one row for every stored picture, frame and clip: file, bytes, sha256, ...
MIX = "mmaffin_train"  # the name of the training mix in dataset_info.json
MIX_FILE = f"mmaffin/{MIX}.jsonl"
REGISTRY = "mmaffin/dataset_info.json"  # where LLaMA-Factory looks up a data set
_ENTRY = {"file_name", "formatting", "columns", "tags"}  # the keys that the build writes; others could load other data


def split_file(subset: str, split: str) -> str:
    """The file of a split's records, below DATA: tests under mmaffben/, the rest under mmaffin/."""
    return f"{'mmaffben' if split == 'test' else 'mmaffin'}/{subset}_{split}.jsonl"


def data_hash(files: dict[str, dict[str, Any]]) -> str:
    """One hash over all files of a build: SHA-256 of their names and hashes."""
    lines = "".join(f"{name} {files[name]['sha256']}\n" for name in sorted(files))
    return hashlib.sha256(lines.encode()).hexdigest()


class _Missing(Fault, KeyError):
    """A key that every manifest has is missing. Also a KeyError, for code that tests whether a key is there."""

    def __str__(self) -> str:
        return f"{MANIFEST} has no {self.args[0]!r}, so this version did not write it. Build again."


class _Described(dict[str, Any]):
    """An object in manifest.json. A missing key raises _Missing."""

    def __missing__(self, key: str) -> Any:
        raise _Missing(key)


def build_command(data: Path) -> str:
    """The command that builds DATA, for a message."""
    return shlex.join(["mmaffin", "build", "--raw", "RAW", "--out", str(data)])


@dataclass(frozen=True)
class Dataset:
    """A finished build. `manifest` is the content of manifest.json."""

    path: Path
    manifest: dict[str, Any]

    @classmethod
    def open(cls, path: Path) -> "Dataset":
        """Read the manifest. Raises UsageFault when there is no folder, Fault when the build is not finished.

        Also raises Fault when the manifest is not valid, and when a link in the folder or a name in the manifest leads
        out of the folder (mmafflm/files/inside.py).
        """
        if not path.is_dir():
            raise UsageFault(f"{path}: no such folder. Build it: {build_command(path)}")
        if not (path / MANIFEST).exists():
            raise Fault(f"{path}: no manifest.json, so this is not a finished build. Run: {build_command(path)}")
        require_inside(path)
        manifest = read_json(path / MANIFEST, "Build the data again.", _Described)
        if why := manifest_fault(manifest):
            raise Fault(f"{path / MANIFEST}: {why}. mmaffin build did not write this file: build again.")
        return cls(path, manifest)

    @property
    def hash(self) -> str:
        """The build's hash, as run.json records it."""
        return str(self.manifest["data_hash"])

    @property
    def budget(self) -> Budget:
        """The pixel and frame budget to which the build scaled its pictures and clips.

        Raises Fault when the manifest has no valid budget, as after an older `mmaffin build`.
        """
        config = self.manifest.get("config")
        found = config.get("budget") if isinstance(config, dict) else None
        try:
            return TypeAdapter(Budget).validate_python(found)
        except ValidationError as error:
            why = "no budget" if found is None else first_wrong(error, "budget")
            raise Fault(
                f"{self.path / MANIFEST}: {why} under config, so the size of its pictures and clips is unknown. "
                "Build the data again with this version of mmaffin."
            ) from None

    @property
    def files(self) -> dict[str, dict[str, Any]]:
        """{path below DATA: {"rows", "sha256"}} for every file that the build wrote."""
        files: dict[str, dict[str, Any]] = self.manifest["files"]
        return files

    def require_subsets(self, names: Iterable[str], split: str) -> None:
        """Raises UsageFault when the build lacks this split of one of these subsets."""
        built = self.subsets(split)
        if missing := [name for name in names if name not in built]:
            some = ", ".join(built) or "none"
            raise UsageFault(f"{self.path}: no {split} split of {', '.join(missing)}. Subsets that have one: {some}.")

    def subsets(self, split: str) -> list[str]:
        """The subsets that have this split, in the benchmark's order."""
        return [name for name, splits in self.manifest["subsets"].items() if split in splits]

    def split_files(self, subsets: Iterable[str] | None = None) -> list[str]:
        """The record files of these subsets, or of all subsets; paths below DATA."""
        of: dict[str, Any] = self.manifest["subsets"]
        return [split_file(name, split) for name in (of if subsets is None else subsets) for split in of[name]]

    def records(self, subset: str, split: str) -> Iterator[Record]:
        """The records of one split, in file order."""
        return read_records(self.path / split_file(subset, split))

    def mix_entry(self) -> dict[str, Any]:
        """The mix's entry in dataset_info.json. Raises Fault unless it points LLaMA-Factory to the mix's Parquet file.

        Also raises Fault for keys that the build does not write, such as script_url and hf_hub_url: they would make
        LLaMA-Factory load other data.
        """
        path, file = self.path / REGISTRY, f"parquet/{MIX}.parquet"
        try:
            entry = read_json(path, "Build the data again.")[MIX]
            if not set(entry) <= _ENTRY or entry["file_name"] != file:
                raise ValueError(f"{MIX} does not point to {file}")
        except (FileNotFoundError, ValueError, LookupError, TypeError) as error:
            raise Fault(f"{path}: not the registry that the build wrote ({error}). Build again.") from None
        return dict(entry)

    def changes(self, names: Iterable[str] | None = None) -> list[str]:
        """How the files on disk differ from the manifest, one sentence each; checks all files when names is None."""
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
        """Raises Fault when one of these files differs from the manifest."""
        if changes := self.changes(names):
            raise Fault("; ".join(changes) + ". Run mmaffin build again, or restore the files.")

    def require_media(self, names: Iterable[str]) -> None:
        """Raises Fault when a picture, frame or clip is missing, has another size in bytes, or leads out of DATA.

        names: paths below DATA, as in the records. `mmaffin check` also compares the hashes.
        """
        wanted = set(names)
        if not wanted:
            return
        if MEDIA_INDEX not in self.files:
            raise Fault(
                f"{self.path}: records have pictures or clips, but {MEDIA_INDEX} is not in the manifest. Build again."
            )
        self.require_unchanged([MEDIA_INDEX])
        stored = {str(row.get("file")): row.get("bytes") for row in read_jsonl(self.path / MEDIA_INDEX)}
        folder = Folder(self.path)
        for name in sorted(wanted):
            path = self.path / name
            if why := folder.fault(name):
                raise Fault(f"{self.path}: {quoted(name)}: {why}. Run mmaffin check, which lists the rows.")
            size = path.stat().st_size if path.is_file() else None
            if size is None or size != stored.get(name):
                what = "missing" if size is None else "changed after the build (its size is not the index's)"
                raise Fault(f"{path}: {what}. Run mmaffin build again; it opens only what is missing.")


def manifest_fault(manifest: Any) -> str | None:
    """Why a manifest is not valid (wrong types, no data_hash, a wrong name of a file, subset or split), or None."""
    if not isinstance(manifest, dict):
        return f"expected an object, found {type(manifest).__name__}"
    files, subsets, mix = (manifest.get(name, {}) for name in ("files", "subsets", "mix"))
    if not all(isinstance(one, dict) for one in (files, subsets, mix)):
        return "files, subsets and mix must be objects"
    if not isinstance(manifest.get("data_hash"), str):
        return "it has no data_hash"
    if strange := [name for name, about in files.items() if not (is_below(name) and isinstance(about, dict))]:
        return f"files: {quoted(strange[0])} is not the path of a file below the folder"
    if mix.get("file", MIX_FILE) != MIX_FILE:
        return f"mix: the file must be {MIX_FILE}, not {quoted(mix['file'])}"
    if not isinstance(mix.get("asked", {}), dict):
        return "mix: asked must be an object"
    if strange := [name for name in mix.get("asked", {}) if name not in benchmark()]:
        return f"mix: {quoted(strange[0])} is not one of {', '.join(benchmark())}"
    for name, splits in subsets.items():
        if name not in benchmark():
            return f"subsets: {quoted(name)} is not one of {', '.join(benchmark())}"
        if not isinstance(splits, dict) or not all(isinstance(about, dict) for about in splits.values()):
            return f"subsets: {name} must be an object with an object for each split"
        for split, about in splits.items():
            if split not in SPLITS:
                return f"subsets: {name}: {quoted(split)} is not one of {', '.join(SPLITS)}"
            if about.get("file", file := split_file(name, split)) != file:
                return f"subsets: {name}: the file of {split} must be {file}, not {quoted(about['file'])}"
    return None
