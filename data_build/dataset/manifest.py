"""manifest.json: what a build was made from and what it contains, with the SHA-256 of raw tables and built files."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_build.config import Config
from data_build.dataset.licences import by_licence
from data_build.media.extract import FOLDER
from data_build.reading.corpus import Corpus, RawPart
from data_build.reading.raw import RawFile
from data_build.rows.write import Outcome
from mmafflm.benchmark.benchmark import Subset
from mmafflm.dataset import MANIFEST, MEDIA_INDEX, data_hash, split_file
from mmafflm.records import Record, write_text

BLOCK = 1 << 20  # bytes that are read from a file at a time


@dataclass(frozen=True)
class Source:
    """A corpus that was found: its reader, its options, its parts."""

    corpus: Corpus
    options: dict[str, Any]
    subsets: list[Subset]
    parts: list[RawPart]
    media: dict[str, RawFile]  # the pictures and clips that the parts refer to, by name

    @property
    def files(self) -> list[RawFile]:
        """Every raw file that the reader reads, once, sorted by name; pictures and clips are in `media`."""
        return sorted({file for part in self.parts for file in part.files}, key=lambda file: file.name)


def describe(
    config: Config, sources: list[Source], outcomes: dict[str, Outcome], limit: int | None, versions: dict[str, str]
) -> dict[str, Any]:
    """The part of the manifest that follows from config, sources and outcomes; later stages add the rest."""
    subsets: dict[str, Any] = {}
    for source in sources:
        raw = {file.name: file.sha256() for file in source.files}
        outcome = outcomes[source.corpus.name]
        for subset in source.subsets:
            for split, rows in outcome.rows.get(subset.name, {}).items():
                subsets.setdefault(subset.name, {})[split] = {
                    "file": split_file(subset.name, split),
                    "rows": rows,
                    "published_rows": subset.test_rows if split == "test" else None,
                    "labels": dict(sorted(outcome.labels[subset.name][split].items())),
                    "languages": dict(sorted(outcome.languages[subset.name][split].items())),
                    "raw": raw,
                }
    return {
        "schema": 1,
        "versions": versions,
        "seed": config.seed,
        "limit": limit,
        "config": config.model_dump(mode="json"),
        "corpora": {source.corpus.name: _account(source, outcomes[source.corpus.name]) for source in sources},
        "subsets": subsets,
        "overlap": overlap(outcomes),
    }


def counts(records: Iterable[Record]) -> dict[str, Any]:
    """The counts in the manifest's entry for a split: rows, labels, languages, translations by pair of languages."""
    rows = list(records)
    labels = Counter(label for row in rows if isinstance(row.gold, list) for label in row.gold)
    pairs = Counter(f"{row.language}<-{row.translated_from['language']}" for row in rows if row.translated_from)
    return {
        "rows": len(rows),
        "labels": dict(sorted(labels.items())),
        "languages": dict(sorted(Counter(row.language for row in rows).items())),
        "translated": dict(sorted(pairs.items())),
    }


def _account(source: Source, outcome: Outcome) -> dict[str, Any]:
    """A corpus's entry. rows_quarantined counts rows by reason; rows_read = rows_kept + the sum of these counts."""
    reasons: dict[str, int] = {}
    for row in outcome.quarantine:
        reasons[row.reason] = reasons.get(row.reason, 0) + row.rows
    kept = sum(sum(of.values()) for of in outcome.rows.values())
    return {
        "licence": source.corpus.licence,
        "rows_read": outcome.rows_read,
        "rows_kept": kept,
        "rows_quarantined": dict(sorted(reasons.items())),
        "repaired": dict(sorted(outcome.notes.items())),
        **({"licences": by_licence(outcome.origins.values())} if source.corpus.own_licences else {}),
    }


def overlap(outcomes: dict[str, Outcome]) -> dict[str, dict[str, int]]:
    """How many training rows have the key of a test row of another corpus: {subset: {test subset: rows}}.

    The key is the normalized text; in a corpus with pictures or clips, also the picture or clip.

    Leaks were removed before (leaks/leaks.py), unless the config keeps them, so mostly texts that are too short to
    count as copies are found. Within a corpus, rows/select.py removes such rows whatever their length.
    """
    found: dict[str, dict[str, int]] = {}
    for corpus, outcome in outcomes.items():
        for (subset, split), keys in outcome.keys.items():
            for other, rival in outcomes.items():
                for (test, test_split), held_out in rival.keys.items():
                    if split == "train" and test_split == "test" and other != corpus:
                        rows = int(keys.is_in(held_out.unique().implode()).sum())
                        if rows:
                            found.setdefault(subset, {})[test] = rows
    return found


def write_seal(data: Path, manifest: dict[str, Any]) -> None:
    """Add the hashes of the build's files to the manifest and write it. This must be the last step."""
    paths = [p for p in sorted(data.rglob("*")) if p.is_file() and not p.relative_to(data).as_posix().startswith(".")]
    names = {path.relative_to(data).as_posix(): path for path in paths}
    # media/ may hold a hundred thousand files. Only its index is hashed here: it holds the hashes of the others.
    manifest["files"] = {
        name: _counted(path)
        for name, path in names.items()
        if name != MANIFEST and (name == MEDIA_INDEX or not name.startswith(f"{FOLDER}/"))
    }
    for subset, of in manifest["subsets"].items():
        for split, about in of.items():
            about["sha256"] = manifest["files"][split_file(subset, split)]["sha256"]
    manifest["data_hash"] = data_hash(manifest["files"])
    write_text(data / MANIFEST, json.dumps(manifest, ensure_ascii=False, indent=1) + "\n")


def _counted(path: Path) -> dict[str, Any]:
    """The SHA-256 of a file and, for a JSONL file, its number of rows; the file is read once."""
    seen, rows = hashlib.sha256(), 0
    with path.open("rb") as data:
        while block := data.read(BLOCK):
            seen.update(block)
            rows += block.count(b"\n")
    return {"rows": rows if path.suffix == ".jsonl" else None, "sha256": seen.hexdigest()}
