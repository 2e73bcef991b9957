"""A build without some of its corpora: a whole build again, in which nothing quotes a row of what stays behind.

Only what is known here is carried over, file by file and key by key: a file that another stage adds stays behind until
it is named here. The counts of leaks and overlaps stay those of the whole build; their examples go with their corpora.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from data_build.build import IMPORT_PAGE
from data_build.card import write_card
from data_build.leak_report import REPORT, write_report
from data_build.manifest import write_seal
from data_build.media_index import Index, read_index, write_index
from data_build.mix import add_twin
from data_build.registry import twin_of, write_registry
from data_build.release.give_out import place
from data_build.release.page import page_text
from data_build.translate.rows import TRANSLATE
from mmafflm.benchmark import benchmark
from mmafflm.dataset import MANIFEST, MIX, Dataset, split_file
from mmafflm.records import media_files, read_jsonl, write_jsonl, write_text

Manifest = dict[str, Any]
_KEYS = ("schema", "versions", "seed", "limit", "leakage")  # of the manifest, as they are


def write_portion(dataset: Dataset, corpora: Collection[str], out: Path, about: dict[str, Any]) -> None:
    """Write the build's rows of these corpora into the empty folder `out`; `about` is "published" in its manifest.

    Raises Fault when the build has changed on disk since it was made.
    """
    subsets = {name: of for name, of in dataset.manifest["subsets"].items() if benchmark()[name].corpus in corpora}
    dataset.require_unchanged(name for name in dataset.files if name not in (MANIFEST, "README.md"))
    index = _place_rows(dataset, subsets, out)
    manifest = _manifest(dataset.manifest, subsets, corpora)
    manifest["mix"] |= _mix(dataset, subsets, out, index)
    rejected = _quarantine(dataset, subsets, corpora, out)
    if "translation" in dataset.manifest:
        manifest["translation"] = _translation(subsets, rejected)
    _leakage(dataset, subsets, out)
    if "import" in manifest:
        write_text(out / IMPORT_PAGE, page_text(manifest["import"], manifest["corpora"]))
    manifest["published"] = about | {"of": dataset.hash}
    write_card(out, manifest)
    write_seal(out, manifest)


def _place_rows(dataset: Dataset, subsets: Manifest, out: Path) -> Index:
    """The files of the splits, their twins, and every picture and frame that a record names; returns the index."""
    names = [(subset, split) for subset, of in subsets.items() for split in of]
    wanted: set[str] = set()
    for subset, split in names:
        file = split_file(subset, split)
        for path in (dataset.path / file, twin_of(dataset.path / "mmaffin", dataset.path / file)):
            place(path, out / path.relative_to(dataset.path))
        wanted.update(name for record in dataset.records(subset, split) for name in media_files(record))
    dataset.require_media(wanted)
    for name in sorted(wanted):
        place(dataset.path / name, out / name)
    index = {name: entry for name, entry in read_index(dataset.path).items() if name in wanted}
    write_index(out, index)
    write_registry(out / "mmaffin", [MIX, *(f"{subset}_{split}" for subset, split in names)])
    return index


def _mix(dataset: Dataset, subsets: Manifest, out: Path, index: Index) -> dict[str, Any]:
    """The mix's rows of these subsets, in its order; returns what the manifest says of their number and lengths."""
    file = dataset.manifest["mix"]["file"]
    write_jsonl(out / file, (row for row in read_jsonl(dataset.path / file) if row["subset"] in subsets))
    empty: dict[str, Any] = {"vision_tokens": {}, "text_bytes": {}}
    return empty | add_twin(out, index)


def _manifest(whole: Manifest, subsets: Manifest, corpora: Collection[str]) -> Manifest:
    """What of the manifest is about these subsets and corpora."""
    manifest = json.loads(json.dumps({name: whole[name] for name in _KEYS if name in whole}))
    manifest["config"] = whole["config"] | {
        "mix": _of(whole["config"]["mix"], subsets),
        "splits": _of(whole["config"]["splits"], subsets),
        "corpora": _of(whole["config"]["corpora"], corpora),
    }
    manifest["corpora"] = _of(whole["corpora"], corpora)
    manifest["subsets"] = subsets
    manifest["overlap"] = _of(whole["overlap"], subsets)
    mix = whole["mix"]
    by_subset = {name: _of(mix[name], subsets) for name in ("subsets", "asked", "translated") if name in mix}
    manifest["mix"] = mix | by_subset
    if "import" in whole:
        manifest["import"] = whole["import"] | {
            name: [row for row in whole["import"][name] if row["subset"] in subsets]
            for name in ("recovered", "prompts", "answers")
        }
    return dict(manifest)


def _of(named: Manifest, names: Collection[str]) -> Manifest:
    return {name: value for name, value in named.items() if name in names}


def _quarantine(dataset: Dataset, subsets: Manifest, corpora: Collection[str], out: Path) -> Counter[str]:
    """The rows of these corpora, and the translations of these subsets' rows; returns the reasons of the latter."""
    rejected: Counter[str] = Counter()

    def rows() -> Iterator[dict[str, Any]]:
        for row in read_jsonl(dataset.path / "quarantine.jsonl"):
            if row["corpus"] == TRANSLATE and row["source"].partition("/")[0] in subsets:
                rejected[row["reason"]] += row["rows"]
                yield row
            elif row["corpus"] in corpora:
                yield row

    write_jsonl(out / "quarantine.jsonl", rows())
    return rejected


def _translation(subsets: Manifest, rejected: Counter[str]) -> dict[str, Any]:
    kept = sum(sum(about.get("translated", {}).values()) for of in subsets.values() for about in of.values())
    return {
        "rows_read": kept + rejected.total(),
        "rows_kept": kept,
        "rows_quarantined": dict(sorted(rejected.items())),
    }


def _leakage(dataset: Dataset, subsets: Manifest, out: Path) -> None:
    """The report with the examples of which both rows are there."""
    path = dataset.path / f"{REPORT}.json"
    if not path.exists():
        return
    told = json.loads(path.read_text(encoding="utf-8"))
    told["examples"] = [
        one
        for one in told["examples"]
        if all(one[side]["id"].partition("/")[0] in subsets for side in ("train", "test"))
    ]
    told["origins"] = _of(told["origins"], subsets)
    write_report(out, told)
