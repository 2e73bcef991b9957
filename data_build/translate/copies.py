"""Find translations that must not be added: copies of a test row, or of a row in the other of training and validation.

The rules are those of the build. A translation for training or validation is compared with every test of every corpus
(data_build/leaks/leaks.py) and is not added when it copies a test row. Nor is it added when its normalized text is in
the corpus's validation set (for a training row) or training set (for a validation row), see data_build/rows/select.py.

An original whose translation copies a test row is itself a translation of that test row. The originals' files are not
changed, since translating only adds. Instead such training rows, and all their translations, stay out of the training
mix. This depends only on the quarantine, so the order of several runs makes no difference.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from data_build.config import Leaks
from data_build.ids import TRANSLATE, original_id
from data_build.leaks.leaks import find_leaks, make_rows, read_rows
from data_build.media.media_index import Index
from data_build.rows.select import folded
from data_build.translate.rows import Brief, words_in
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import MIX, Dataset
from mmafflm.records import Record, media_files, read_jsonl

QUARANTINE = "quarantine.jsonl"
LEAKED = "copies a test row"
CROSSED = {"val": "copies a validation row", "train": "copies a training row"}
QUOTED = 5  # examples in the report


def copies(dataset: Dataset, records: Sequence[Record], index: Index) -> dict[str, str]:
    """Translations that copy a test row: {id: the test row's id}. Empty when the build's config keeps copies."""
    rules = Leaks(**dataset.manifest.get("leakage", {}).get("rules", {}))
    if not rules.remove:
        return {}
    shown = ((one, media_files(one)) for one in records)
    made = make_rows(
        ((one.id, one.subset, words_in(one), files[0] if files else "") for one, files in shown), index, rules.shortest
    )
    tests = read_rows(dataset.path, [(name, "test") for name in dataset.subsets("test")], index, rules.shortest)
    return {leak.train.id: leak.test.id for leak in find_leaks(made, tests, rules, dataset.path)}


def on_both_sides(standing: Iterable[Brief], records: Sequence[Record]) -> dict[str, tuple[str, str]]:
    """Translations whose text equals that of an original in the corpus's other split: {id: (reason, original's id)}."""
    ours = [Brief.of(one) for one in records]
    languages, corpora = {one.language for one in ours}, {_corpus(one) for one in ours}
    theirs = [one for one in standing if one.made is None and one.language in languages and _corpus(one) in corpora]
    present = {(_corpus(one), one.split, text): one.id for one, text in zip(theirs, _texts(theirs), strict=True)}
    found = {}
    for one, text in zip(ours, _texts(ours), strict=True):
        other = "val" if one.split == "train" else "train"
        if copy := present.get((_corpus(one), other, text)):
            found[one.id] = (CROSSED[other], copy)
    return found


def _corpus(row: Brief) -> str:
    return benchmark()[row.subset].corpus


def _texts(rows: Sequence[Brief]) -> list[str]:
    texts = pl.DataFrame({"text": pl.Series([one.words for one in rows], dtype=pl.String)})
    return texts.select(folded(pl.col("text")))["text"].to_list()


def _leaked(quarantine: Path) -> Iterator[dict[str, Any]]:
    """Yield the quarantine's lines about translations for training that copy a test row."""
    for row in read_jsonl(quarantine):
        if row["corpus"] == TRANSLATE and row["reason"] == LEAKED and "train" in row["source"].split("/"):
            yield row


def left_out(quarantine: Path) -> set[str]:
    """Ids of training rows whose translation copies a test row. The mix has neither these nor their translations."""
    return {original_id(row["source"]) for row in _leaked(quarantine)}


def through_translation(data: Path) -> dict[str, Any]:
    """The leak report on the rows of left_out: their number, examples, and how many rows of the mix come from them."""
    found = {original_id(row["source"]): row for row in _leaked(data / QUARANTINE)}
    mixed = [row["id"] for row in read_jsonl(data / "mmaffin" / f"{MIX}.jsonl")] if found else []
    examples = []
    for name in sorted(found)[:QUOTED]:
        about = json.loads(found[name]["detail"])
        examples.append(
            {"train": name, "words": about["text"], "translation": about["translation"], "test": about["why"]}
        )
    return {"rows": len(found), "in_mix": sum(original_id(name) in found for name in mixed), "examples": examples}
