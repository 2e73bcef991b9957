"""Draw another training mix over the same build: only the mix, its Parquet twin, the card and the manifest change.

The mix is drawn in place or into another folder: an experiment that compares two mixes needs both mixes and the same
tests. That folder shares all other files with the build by hard links, so it takes only the mix's disk space. A model
trained on it is tested on the build itself; drawing a mix into another folder does not change the build's hash.
"""

import errno
import os
import shutil
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_build.config import MixFile
from data_build.dataset.card import write_card
from data_build.dataset.manifest import write_seal
from data_build.mix.mix import make_mix
from data_build.translate.copies import QUARANTINE, left_out
from data_build.twins import twin_of
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import MANIFEST, MIX_FILE, Dataset
from mmafflm.errors import Fault, UsageFault
from mmafflm.files.inside import MEDIA, Folder, quoted

CARD = "README.md"


def remix(dataset: Dataset, mix: MixFile, out: Path | None = None, share: float = 1.0) -> int:
    """Draw the mix again, in place or into the folder `out`, and return its number of rows. Keep an `out` that has it.

    share: a factor for every number of the mix, so that mixes keep their proportions in a small run. Raises Fault when
    the build has changed on disk since it was made or `out` is on another file system, UsageFault for a bad `share` and
    when `out` holds something else.
    """
    if not 0 < share <= 1:
        raise UsageFault(f"--share {share:g}: it must be more than 0 and at most 1.")
    asked = _asked(dataset, mix, share)
    data = dataset.path
    rewritten = {MIX_FILE, twin_of(data / "mmaffin", data / MIX_FILE).relative_to(data).as_posix(), CARD, MANIFEST}
    dataset.require_unchanged([name for name in dataset.files if name not in rewritten])
    for subset in dataset.subsets("train"):  # read everything before writing: a bad file name raises Fault
        deque(dataset.records(subset, "train"), maxlen=0)
    if out is None:
        return _write(dataset, mix, asked, data)
    if not _is_free(out):
        return _rows_of_same(dataset, mix, asked, out)
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _share_files(data, partial, rewritten)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK):
            raise
        shutil.rmtree(partial)
        raise Fault(
            f"--out {out}: cannot share the files of {data} by hard links ({os.strerror(error.errno)}). "
            "Choose a folder on the same file system."
        ) from None
    rows = _write(dataset, mix, asked, partial)
    if out.exists():
        out.rmdir()
    partial.rename(out)
    return rows


def _asked(dataset: Dataset, mix: MixFile, share: float) -> dict[str, int]:
    """The number of rows to draw from each subset."""
    numbers: dict[str, int] = dataset.manifest["config"]["mix"] if mix.mix is None else mix.mix
    kept = {
        name: rows
        for name, rows in numbers.items()
        if mix.modalities is None or benchmark()[name].modality in mix.modalities
    }
    return {name: max(1, round(rows * share)) if rows else 0 for name, rows in kept.items()}


def _write(dataset: Dataset, mix: MixFile, asked: dict[str, int], data: Path) -> int:
    (data / MANIFEST).unlink(missing_ok=True)  # unfinished until the new manifest is written
    manifest: dict[str, Any] = dict(dataset.manifest)
    barred = left_out(data / QUARANTINE) if "translation" in manifest else set[str]()
    manifest["mix"] = make_mix(data, asked, mix.seed, mix.languages, mix.most_translated, barred)
    if data != dataset.path:
        manifest["mix_over"] = dataset.hash
    write_card(data, manifest)
    write_seal(data, manifest)
    return int(manifest["mix"]["rows"])


def _is_free(out: Path) -> bool:
    if out.exists() and not out.is_dir():
        raise UsageFault(f"--out {out}: is a file. Choose a folder.")
    return not out.exists() or not any(out.iterdir())


def _rows_of_same(dataset: Dataset, mix: MixFile, asked: dict[str, int], out: Path) -> int:
    """The number of rows of the mix in `out`. Raises UsageFault unless it is this mix over this build."""
    manifest = Dataset.open(out).manifest if (out / MANIFEST).exists() else {}
    there = manifest.get("mix", {})
    drawn = [
        manifest.get("mix_over"),
        *(there.get(name) for name in ("seed", "asked", "only_languages", "most_translated")),
    ]
    if drawn != [dataset.hash, mix.seed, asked, mix.languages, mix.most_translated]:
        raise UsageFault(f"--out {out}: holds something else than this mix over {dataset.path}. Choose another folder.")
    return int(there["rows"])


def _share_files(data: Path, out: Path, but: set[str]) -> None:
    """Hard-link every file of the build to the same name below `out`, except hidden files and those in `but`."""
    folder = Folder(data)
    for name in _files(data, ""):
        if name not in but:
            if name.startswith(f"{MEDIA}/") and (why := folder.fault(name)):
                raise Fault(f"{data}: {quoted(name)}: {why}. Remove it, or get the data from its source.")
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            os.link(data / name, out / name)


def _files(data: Path, below: str) -> Iterator[str]:
    with os.scandir(data / below) as entries:
        for entry in sorted(entries, key=lambda one: one.name):
            name = f"{below}/{entry.name}".lstrip("/")
            if entry.is_dir(follow_symlinks=False):
                yield from _files(data, name)
            elif not entry.name.startswith("."):
                yield name
