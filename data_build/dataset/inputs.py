"""What a build is made from. If all inputs are the same as before, the command does nothing; otherwise it builds again.

The inputs are the raw files, the config, the flags, the code that reads and writes, and the libraries' versions; they
decide every byte. They are stored in DATA/.build.json, so that a build that was made by other code, for example, is
recognised as out of date.
"""

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from data_build.config import Config
from data_build.dataset.manifest import Source
from data_build.reading.corpus import RawPart
from data_build.workers.nodes import Nodes
from mmafflm.files.source_hash import source_hash
from mmafflm.records import write_text

STATE = ".build.json"  # the inputs of the finished build; not part of the data

Folders = dict[str, list[Path]]
Manifest = dict[str, Any]


@dataclass(frozen=True)
class BuildPlan:
    """The inputs of a build, from raw corpora or from a release.

    origin: the release's folders; its files are read one after the other, without worker processes. finish: a function
    that may add to the manifest before it is sealed; its arguments are DATA, the folders that were read and the
    manifest. replace: build even if parts of a finished build are lost. nodes: a Ray cluster that opens pictures
    and clips, in place of `jobs` processes.
    """

    data: Path
    sources: list[Source]
    config: Config
    jobs: int | None = None
    limit: int | None = None
    raw_video: bool = False
    origin: list[str] | None = None
    finish: Callable[[Path, Folders, Manifest], None] | None = None
    replace: bool = False
    nodes: Nodes | None = None

    @property
    def subsets(self) -> list[str]:
        """The subsets that the build makes."""
        return [subset.name for source in self.sources for subset in source.subsets]


def inputs(plan: BuildPlan) -> dict[str, Any]:
    """Everything that decides the bytes. As in make, size and modification time represent a raw file's content."""
    files = {
        f"{source.corpus.name}/{file.name}": [file.size, file.path.stat().st_mtime_ns]
        for source in plan.sources
        for file in [*source.files, *source.media.values()]
    }
    made: dict[str, Any] = {
        "config": plan.config.model_dump(mode="json"),
        "subsets": plan.subsets,
        "limit": plan.limit,
        "raw_video": plan.raw_video,
        "origin": plan.origin,
        "files": files,
        "code": code(plan),
        "versions": versions(),
    }
    return made


def code(plan: BuildPlan) -> str:
    """The hash of the code that reads the sources and writes the build."""
    made_by = "data_build.release.import_release" if plan.origin else "data_build.build"
    return source_hash(made_by, *sorted({module for source in plan.sources for module in _modules(source)}))


def _modules(source: Source) -> set[str]:
    """The modules of the corpus's card and of its reader. They differ for a release, which has one reader for all."""
    return {f"data_build.corpora.{source.corpus.name}", source.corpus.read.__module__}


@cache  # finding a version reads a file, and part_name calls this for every part
def versions() -> dict[str, str]:
    """The versions of the libraries that decide the bytes of a build."""
    return {name: version(name) for name in ("mmafflm", "polars", "pillow", "av")}


def part_name(source: Source, part: RawPart) -> str:
    """A folder name that changes when any input of the part's frames changes, its reader's code included."""
    files = [(file.name, file.size, file.path.stat().st_mtime_ns) for file in part.files]
    subsets = [subset.name for subset in source.subsets]
    about = [part.name, dict(part.about), dict(part.media), files, source.options, subsets]
    readers = source_hash("data_build.rows.shards", *sorted(_modules(source)))
    return hashlib.sha256(json.dumps([*about, readers, versions()]).encode()).hexdigest()[:24]


def read_state(data: Path) -> dict[str, Any] | None:
    """The inputs of the finished build in DATA; None without a readable .build.json, which copies may lack."""
    with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
        found = json.loads((data / STATE).read_text(encoding="utf-8"))["inputs"]
        return found if isinstance(found, dict) else None
    return None


def write_state(data: Path, made: dict[str, Any]) -> None:
    """Store the inputs of a build once it is finished."""
    write_text(data / STATE, json.dumps({"inputs": made}) + "\n")
