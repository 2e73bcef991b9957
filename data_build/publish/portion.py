"""Write a build without some of its corpora or rows: a complete build with no trace of the rows that are left out.

Only the files and manifest keys that this module lists are copied, so a file that a new stage adds is left out until it
is listed here. The counts of leaks, origins and overlaps and the results of round trips stay those of the full build.
The leak report quotes an example only if both of its rows are published.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from data_build.build import IMPORT_PAGE
from data_build.dataset.card import write_card
from data_build.dataset.licences import REASON, Held, by_licence
from data_build.dataset.manifest import counts, write_seal
from data_build.dataset.origins import read_origins, write_origins
from data_build.dataset.typed import write_typed
from data_build.ids import TRANSLATE, original_id
from data_build.leaks.leak_report import REPORT, write_report
from data_build.media.media_index import Index, read_index, write_index
from data_build.mix.mix import lengths
from data_build.release.export import place
from data_build.release.import_page import page_text
from data_build.twins import twin_of, write_records, write_registry
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import MANIFEST, MIX, Dataset, split_file
from mmafflm.files.documents import read_json
from mmafflm.files.inside import media_path
from mmafflm.records import Record, media_files, read_jsonl, read_records, write_jsonl, write_text

Manifest = dict[str, Any]
_KEYS = ("schema", "versions", "seed", "limit")  # keys of the manifest that are copied unchanged
_OF_TRANSLATION = ("left_out", "round_trip")  # keys of "translation" in the manifest that are copied unchanged


@dataclass(frozen=True)
class Cut:
    """The part of a build to publish: its subsets as in the new manifest, its corpora, and the records to leave out."""

    dataset: Dataset
    subsets: Manifest
    corpora: Collection[str]
    held: Mapping[str, Held]

    def records(self, subset: str, split: str) -> Iterator[Record]:
        """The records of a split that are published."""
        return (record for record in self.dataset.records(subset, split) if record.id not in self.held)

    def is_whole(self, subset: str) -> bool:
        """Whether no record of the subset's corpus is held back."""
        return all(one.corpus != benchmark()[subset].corpus for one in self.held.values())


def write_portion(
    dataset: Dataset, corpora: Collection[str], out: Path, about: dict[str, Any], held: Mapping[str, Held]
) -> None:
    """Write the build's rows of these corpora into the empty folder `out`. `about` becomes "published" in its manifest.

    held: records of these corpora that are left out, see licences.held_back. The quarantine in `out` lists those that
    are not translations. Raises Fault when the build has changed on disk since it was made.
    """
    dataset.require_unchanged(name for name in dataset.files if name not in (MANIFEST, "README.md"))
    cut = _cut(dataset, corpora, held)
    index, sources = _place_rows(cut, out)
    manifest = _manifest(cut)
    manifest["mix"] |= _mix(cut, out, index)
    rejected = _quarantine(cut, manifest["corpora"], out)
    if "translation" in dataset.manifest:
        whole = {name: of for name, of in dataset.manifest["translation"].items() if name in _OF_TRANSLATION}
        manifest["translation"] = whole | _translation(cut.subsets, rejected)
    origins = {key: origin for key, origin in read_origins(dataset.path).items() if key in sources}
    write_origins(out, origins)
    for name, account in manifest["corpora"].items():
        if "licences" in account:
            account["licences"] = by_licence(origin for key, origin in origins.items() if key[0] == name)
    _leakage(cut, out)
    if "import" in manifest:
        write_text(out / IMPORT_PAGE, page_text(manifest["import"], manifest["corpora"]))
    manifest["published"] = about | {"of": dataset.hash}
    write_typed(out, manifest["subsets"])
    write_card(out, manifest)
    write_seal(out, manifest)


def _cut(dataset: Dataset, corpora: Collection[str], held: Mapping[str, Held]) -> Cut:
    """Select the subsets of these corpora. Counts exclude held records; empty splits and subsets are left out."""
    subsets = {name: of for name, of in dataset.manifest["subsets"].items() if benchmark()[name].corpus in corpora}
    cut = Cut(dataset, subsets, corpora, held)
    for name in [name for name in subsets if not cut.is_whole(name)]:
        rows = {split: list(cut.records(name, split)) for split in subsets[name]}
        subsets[name] = {split: of | counts(rows[split]) for split, of in subsets[name].items() if rows[split]}
    return Cut(dataset, {name: of for name, of in subsets.items() if of}, corpora, held)


def _place_rows(cut: Cut, out: Path) -> tuple[Index, set[tuple[str, str]]]:
    """Link, copy or write the files of the splits, their Parquet twins, and the pictures, frames and clips of records.

    Returns the media index of the published files, and the (corpus, source) of every published record.
    """
    data, names = cut.dataset.path, [(subset, split) for subset, of in cut.subsets.items() for split in of]
    whole = read_index(data)
    wanted: set[str] = set()
    sources: set[tuple[str, str]] = set()
    for subset, split in names:
        file = split_file(subset, split)
        if cut.is_whole(subset):
            for path in (data / file, twin_of(data / "mmaffin", data / file)):
                place(path, out / path.relative_to(data))
        else:
            write_records(out / "mmaffin", out / file, cut.records(subset, split), whole)
        for record in cut.records(subset, split):
            wanted.update(media_files(record))
            sources.add((benchmark()[subset].corpus, record.source))
    cut.dataset.require_media(wanted)
    for name in sorted(wanted):
        place(media_path(data, name), out / name)
    index = {name: entry for name, entry in whole.items() if name in wanted}
    write_index(out, index)
    write_registry(out / "mmaffin", [MIX, *(f"{subset}_{split}" for subset, split in names)])
    return index, sources


def _mix(cut: Cut, out: Path, index: Index) -> dict[str, Any]:
    """Write the published rows of the mix, in the mix's order. Returns the values to update in its manifest entry."""
    file = cut.dataset.manifest["mix"]["file"]
    languages: dict[str, Counter[str]] = {}
    translated: dict[str, Counter[str]] = {}

    def published() -> Iterator[Record]:
        for record in read_records(cut.dataset.path / file):
            if record.subset in cut.subsets and record.id not in cut.held:
                languages.setdefault(record.subset, Counter())[record.language] += 1
                if record.translated_from:
                    translated.setdefault(record.subset, Counter())[record.language] += 1
                yield record

    rows = write_records(out / "mmaffin", out / file, published(), index).rows
    found = lengths(pl.read_parquet(twin_of(out / "mmaffin", out / file)))
    mix = cut.dataset.manifest["mix"]
    empty: dict[str, Any] = {"vision_tokens": {}, "text_bytes": {}}
    return empty | {"rows": rows} | found | {
        name: {subset: dict(sorted(of[subset].items())) for subset in mix[name] if subset in of}
        for name, of in (("subsets", languages), ("translated", translated))
        if name in mix
    }  # fmt: skip


def _manifest(cut: Cut) -> Manifest:
    """The parts of the manifest that are about the published subsets and corpora."""
    whole, subsets = cut.dataset.manifest, cut.subsets
    manifest = json.loads(json.dumps({name: whole[name] for name in _KEYS if name in whole}))
    if "leakage" in whole:
        manifest["leakage"] = whole["leakage"] | {"origins": _of(whole["leakage"].get("origins", {}), subsets)}
    manifest["config"] = whole["config"] | {
        "mix": _of(whole["config"]["mix"], subsets),
        "splits": _of(whole["config"]["splits"], subsets),
        "corpora": _of(whole["config"]["corpora"], cut.corpora),
    }
    manifest["corpora"] = {name: dict(of) for name, of in _of(whole["corpora"], cut.corpora).items()}
    manifest["subsets"] = subsets
    manifest["overlap"] = _of(whole["overlap"], subsets)
    manifest["mix"] = whole["mix"] | {"asked": _of(whole["mix"]["asked"], subsets)}
    if "import" in whole:
        manifest["import"] = whole["import"] | {
            name: [row for row in whole["import"][name] if row["subset"] in subsets]
            for name in ("recovered", "prompts", "answers")
        }
    return dict(manifest)


def _of(named: Manifest, names: Collection[str]) -> Manifest:
    return {name: value for name, value in named.items() if name in names}


def _quarantine(cut: Cut, accounts: Manifest, out: Path) -> Counter[str]:
    """Write the quarantine: the build's rows of these corpora, rejected translations of published rows, and the held
    records that are not translations. `accounts` then counts these held records as quarantined instead of kept.

    Returns the number of rejected translations by reason.
    """
    rejected: Counter[str] = Counter()

    def rows() -> Iterator[dict[str, Any]]:
        for row in read_jsonl(cut.dataset.path / "quarantine.jsonl"):
            if row["corpus"] == TRANSLATE:
                if row["source"].partition("/")[0] in cut.subsets and original_id(row["source"]) not in cut.held:
                    rejected[row["reason"]] += row["rows"]
                    yield row
            elif row["corpus"] in cut.corpora:
                yield row
        for one in cut.held.values():
            if not one.translated:
                reason, account = f"{REASON} {one.reason}", accounts[one.corpus]
                account["rows_kept"] -= 1
                dropped = Counter(account["rows_quarantined"]) + Counter([reason])
                account["rows_quarantined"] = dict(sorted(dropped.items()))
                yield {
                    "corpus": one.corpus, "source": one.source, "reason": reason, "detail": one.licence, "rows": 1
                }  # fmt: skip

    write_jsonl(out / "quarantine.jsonl", rows())
    return rejected


def _translation(subsets: Manifest, rejected: Counter[str]) -> dict[str, Any]:
    kept = sum(sum(about.get("translated", {}).values()) for of in subsets.values() for about in of.values())
    return {
        "rows_read": kept + rejected.total(),
        "rows_kept": kept,
        "rows_quarantined": dict(sorted(rejected.items())),
    }


def _leakage(cut: Cut, out: Path) -> None:
    """Write the leak report, if the build has one, with only the examples whose two rows are published."""
    path = cut.dataset.path / f"{REPORT}.json"
    if not path.exists():
        return
    told = read_json(path, "Make it again: mmaffin leaks.")
    told["examples"] = [
        one
        for one in told["examples"]
        if all(
            one[side]["id"].partition("/")[0] in cut.subsets and one[side]["id"] not in cut.held
            for side in ("train", "test")
        )
    ]
    told["origins"] = {
        subset: [one if cut.is_whole(subset) else one | {"examples": []} for one in of]
        for subset, of in _of(told["origins"], cut.subsets).items()
    }
    write_report(out, told)
