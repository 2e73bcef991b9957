"""Report what find_leaks found: counts, examples, origins in both training and test. Decide which rows are removed."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from data_build.config import Leaks
from data_build.corpora.find import corpora
from data_build.dataset.origins import SIDES, Origins, Traces, is_traced, of_outcomes, shared_origins, stored_traces
from data_build.leaks.leaks import Leak, LeakRow, find_leaks, read_rows, table_rows, words_column
from data_build.media.media_index import Index
from data_build.rows.write import Chosen
from mmafflm.records import write_text
from mmafflm.terminal.command import say

REPORT = "leakage"  # DATA/leakage.json and .md
REASON = {"exact": "copies a test row", "near": "nearly copies a test row"}
QUOTED, LONGEST = 5, 160  # examples of each pair of subsets, and the most characters shown of each

Counts = dict[str, dict[str, dict[str, int]]]


def report(leaks: Sequence[Leak], rows: tuple[int, int], rules: Leaks, origins: dict[str, Any]) -> dict[str, Any]:
    """The report as JSON. rows: how many training rows and how many test rows were compared."""
    counts: Counts = {}
    examples: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for leak in leaks:
        of = counts.setdefault(leak.train.subset, {}).setdefault(leak.test.subset, {"exact": 0, "near": 0})
        of[leak.kind] += 1
        some = examples.setdefault((leak.train.subset, leak.test.subset), [])
        if len(some) < QUOTED:
            some.append(_example(leak))
    return {
        "rules": rules.model_dump(),
        "train_rows": rows[0],
        "test_rows": rows[1],
        "leaks": len(leaks),
        "counts": counts,
        "examples": [one for some in examples.values() for one in some],
        "origins": origins,
    }


def _example(leak: Leak) -> dict[str, Any]:
    sides = {
        side: {"id": row.id, "words": row.words[:LONGEST], "picture": row.picture or None}
        for side, row in (("train", leak.train), ("test", leak.test))
    }
    return {"kind": leak.kind, "similarity": round(leak.similarity, 3), **sides}


def examine(
    data: Path, rows: dict[str, dict[str, int]], rules: Leaks, index: Index, origins: Origins
) -> tuple[list[Leak], dict[str, Any]]:
    """The leaks of a build and their report. rows: {subset: {split: rows}} on disk."""
    train, tests = (
        read_rows(data, [(name, side) for name, of in rows.items() if side in of], index, rules.shortest)
        for side in SIDES
    )
    return compare(data, LeakSides(train, tests, stored_traces(data, rows, origins)), rules, index, origins)


class LeakSides(NamedTuple):
    """What is compared: the training rows and the test rows of all subsets, and where both come from."""

    train: list[LeakRow]
    tests: list[LeakRow]
    traces: Traces


def compare(
    data: Path, rows: LeakSides, rules: Leaks, index: Index, origins: Origins
) -> tuple[list[Leak], dict[str, Any]]:
    """The leaks among these rows and their report. data: the folder with the pictures."""
    leaks = find_leaks(rows.train, rows.tests, rules, data)
    shared = shared_origins(rows.traces, index, origins)
    return leaks, report(leaks, (len(rows.train), len(rows.tests)), rules, shared)


class Decided(NamedTuple):
    """The report, and the training rows that must not be written: {id: (reason, detail)}."""

    told: dict[str, Any]
    out: dict[str, tuple[str, str]]


def decide(data: Path, chosen: Sequence[Chosen], rules: Leaks, index: Index) -> Decided:
    """Decide which of the chosen training rows copy a test row, before any row is written. Writes the report."""
    rows = LeakSides([], [], {})
    for one in chosen:
        _gather(one, rows, rules, index)
    outcomes = {one.corpus.name: one.outcome for one in chosen}
    leaks, told = compare(data, rows, rules, index, of_outcomes(outcomes))
    say(f"leakage: {len(leaks)} of {told['train_rows']} training rows copy a test row, exactly or nearly")
    write_report(data, told)
    return Decided(told, {leak.train.id: _why(leak) for leak in (leaks if rules.remove else ())})


def _gather(chosen: Chosen, compared: LeakSides, rules: Leaks, index: Index) -> None:
    """Add the training and test rows of a corpus."""
    rows = chosen.rows()
    if rows.is_empty():
        return
    rows = rows.select(
        "id", "subset", "to", "source", words_column(rows).alias("words"), picture=pl.col("files").list.first()
    ).with_columns(pl.col("picture").fill_null(""))
    is_known = is_traced(corpora()[chosen.corpus.name], [chosen.corpus.name] if chosen.outcome.origins else [])
    for subset in chosen.subsets:
        for side, into in zip(SIDES, (compared.train, compared.tests), strict=True):
            some = rows.filter((pl.col("subset") == subset.name) & (pl.col("to") == side))
            into += table_rows(some, index, rules.shortest)
            if is_known:
                compared.traces.setdefault(subset.name, {})[side] = list(some.select("source", "picture").iter_rows())


def _why(leak: Leak) -> tuple[str, str]:
    """The reason and the detail for the quarantine."""
    words = leak.train.words[:LONGEST]
    return REASON[leak.kind], f"{leak.test.id} ({leak.similarity:.2f} of the words' trigrams): {words}"


def in_manifest(told: dict[str, Any]) -> dict[str, Any]:
    """The numbers of the report, without its examples."""
    kept = {name: value for name, value in told.items() if name != "examples"}
    numbers = {
        subset: [{name: value for name, value in one.items() if name != "examples"} for one in of]
        for subset, of in told["origins"].items()
    }
    return kept | {"origins": numbers}


def write_report(folder: Path, told: dict[str, Any]) -> None:
    """Write leakage.json and leakage.md."""
    write_text(folder / f"{REPORT}.json", json.dumps(told, ensure_ascii=False, indent=1) + "\n")
    write_text(folder / f"{REPORT}.md", markdown(told))


def markdown(told: dict[str, Any]) -> str:
    """The report as Markdown."""
    rules = told["rules"]
    fate = "They were removed from training" if rules["remove"] else "They were left in training"
    lines = [
        "# Training rows that copy a test row",
        "",
        f"{told['leaks']} of {told['train_rows']} training rows copy one of {told['test_rows']} test rows. {fate}. A "
        f"row is a copy if all that both rows have matches: the words share at least {rules['similarity']:g} of their "
        "character trigrams, and the pictures or first frames look the same. If one of the rows has no picture, words "
        f"of fewer than {rules['shortest']} characters are not compared.",
        "",
        "| training | test | exact | near |",
        "|---|---|---:|---:|",
    ]
    lines += [
        f"| {train} | {test} | {count['exact']} | {count['near']} |"
        for train, of in told["counts"].items()
        for test, count in of.items()
    ] or ["| none | | 0 | 0 |"]
    lines += ["", "## Examples", ""]
    for one in told["examples"]:
        lines.append(f"- {one['kind']}, {one['similarity']}")
        lines += [f"  - `{one[side]['id']}` {_shown(one[side])}" for side in ("train", "test")]
    through = _through_translation(told["through_translation"]) if "through_translation" in told else []
    return "\n".join([*lines, *through, *_origins(told["origins"])]) + "\n"


def _origins(told: dict[str, list[dict[str, Any]]]) -> list[str]:
    lines = ["", "## Speakers, dialogues, films and source pictures in training and test", ""]
    lines += [
        "The copies above are counted too. No row is removed for its origin, because the splits are the corpora's own.",
        "",
    ]
    lines += ["| subset | of | training | test | on both sides | their training rows | their test rows | examples |"]
    lines += ["|---|---|---:|---:|---:|---:|---:|---|"]
    rows = [(subset, one) for subset, of in told.items() for one in of]
    lines += [
        f"| {subset} | {one['of']} | {one['train']} | {one['test']} | {one['both']} | {one['train_rows']} | "
        f"{one['test_rows']} | {', '.join(one['examples']).replace('|', ' ')} |"
        for subset, one in rows
    ] or ["| the origins of the rows are not known | | | | | | | |"]
    return lines


def _through_translation(told: dict[str, Any]) -> list[str]:
    lines = [
        "", "## Through translation", "",
        f"{told['rows']} training rows have a translation that copies a test row, exactly or nearly. The translations "
        "were not added. The training rows themselves were not removed; the training mix holds "
        f"{told['in_mix']} of them and of their translations.", "",
    ]  # fmt: skip
    for one in told["examples"]:
        lines += [f"- `{one['train']}` {one['words']}".replace("\n", " ")]
        lines += [f"  - translated, it is `{one['test']}`: {one['translation']}".replace("\n", " ")]
    return lines


def _shown(side: dict[str, Any]) -> str:
    return " ".join(part for part in (side["words"].replace("\n", " "), side["picture"]) if part)
