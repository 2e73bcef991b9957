"""What find_leaks has found: counts, examples and origins on both sides of a split; JSON, Markdown; and the removal."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_build.config import Leaks
from data_build.leaks import Leak, find_leaks, read_rows
from data_build.media_index import Index
from data_build.origins import Origins, of_outcomes, shared_origins
from data_build.registry import write_records
from data_build.stage import Outcome
from mmafflm.benchmark import benchmark
from mmafflm.command import say
from mmafflm.dataset import split_file
from mmafflm.records import Quarantined, Record, read_records, write_text

REPORT = "leakage"  # DATA/leakage.json and .md
REASON = {"exact": "stands in a test", "near": "nearly stands in a test"}
QUOTED, LONGEST = 5, 160  # examples of each pair of subsets, characters of each

Counts = dict[str, dict[str, dict[str, int]]]


def report(leaks: Sequence[Leak], rows: tuple[int, int], rules: Leaks, origins: dict[str, Any]) -> dict[str, Any]:
    """The report as JSON. rows: of training and of the tests that were compared."""
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
    """The leaks of a build and their report. rows: {subset: {split: rows}} of what stands on disk."""
    train = read_rows(data, [(name, "train") for name, of in rows.items() if "train" in of], index, rules.shortest)
    tests = read_rows(data, [(name, "test") for name, of in rows.items() if "test" in of], index, rules.shortest)
    leaks = find_leaks(train, tests, rules, data)
    return leaks, report(leaks, (len(train), len(tests)), rules, shared_origins(data, rows, index, origins))


def clean_training(data: Path, outcomes: dict[str, Outcome], rules: Leaks, index: Index) -> dict[str, Any]:
    """Take the training rows that stand in a test out of the files, into the quarantine; returns the report."""
    rows = {name: of for outcome in outcomes.values() for name, of in outcome.rows.items()}
    leaks, told = examine(data, rows, rules, index, of_outcomes(outcomes))
    say(f"leakage: {len(leaks)} of {told['train_rows']} training rows stand, exactly or nearly, in a test")
    by_subset: dict[str, dict[str, Leak]] = {}
    for leak in leaks if rules.remove else ():
        by_subset.setdefault(leak.train.subset, {})[leak.train.id] = leak
    for subset, out in by_subset.items():
        _rewrite(data, outcomes[benchmark()[subset].corpus], subset, out, index)
    write_report(data, told)
    return told


def _rewrite(data: Path, outcome: Outcome, subset: str, out: dict[str, Leak], index: Index) -> None:
    """The training file without the rows in `out`; counts and quarantine follow."""
    path = data / split_file(subset, "train")
    records = list(read_records(path))
    kept = [record for record in records if record.id not in out]
    for record in records:
        if leak := out.get(record.id):
            detail = f"{leak.test.id} ({leak.similarity:.2f} of the words' trigrams): {leak.train.words[:LONGEST]}"
            outcome.quarantine.append(Quarantined(benchmark()[subset].corpus, record.source, REASON[leak.kind], detail))
    keys = outcome.keys[subset, "train"]
    outcome.keys[subset, "train"] = keys.filter([record.id not in out for record in records])
    for counted in (outcome.rows, outcome.labels, outcome.languages):
        counted[subset].pop("train")
    if kept:
        outcome.rows[subset] = {"train": write_records(data / "mmaffin", path, kept, index), **outcome.rows[subset]}
        outcome.labels[subset]["train"] = _labels(kept)
        outcome.languages[subset]["train"] = Counter(record.language for record in kept)


def _labels(records: list[Record]) -> Counter[str]:
    return Counter(label for record in records if isinstance(record.gold, list) for label in record.gold)


def in_manifest(told: dict[str, Any]) -> dict[str, Any]:
    """The numbers of the report, without its examples."""
    kept = {name: value for name, value in told.items() if name != "examples"}
    numbers = {
        subset: [{name: value for name, value in one.items() if name != "examples"} for one in of]
        for subset, of in told["origins"].items()
    }
    return kept | {"origins": numbers}


def write_report(folder: Path, told: dict[str, Any]) -> None:
    """leakage.json and leakage.md."""
    write_text(folder / f"{REPORT}.json", json.dumps(told, ensure_ascii=False, indent=1) + "\n")
    write_text(folder / f"{REPORT}.md", markdown(told))


def markdown(told: dict[str, Any]) -> str:
    """The report to read."""
    rules = told["rules"]
    fate = "They were taken out of training" if rules["remove"] else "They were left in training"
    lines = [
        "# Training rows that stand in a test",
        "",
        f"{told['leaks']} of {told['train_rows']} training rows copy one of {told['test_rows']} test rows. {fate}. A "
        f"row is a copy when its words (of {rules['shortest']} characters or more) share {rules['similarity']:g} of "
        "their character trigrams with the test's, and its picture or first frame, if both have one, shows the same.",
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
    lines = ["", "## Speakers, dialogues, films and source pictures on both sides", ""]
    lines += ["Counted before copies were taken out, and left where they are: the splits are the corpora's own.", ""]
    lines += ["| subset | of | training | test | on both sides | their training rows | their test rows | such as |"]
    lines += ["|---|---|---:|---:|---:|---:|---:|---|"]
    rows = [(subset, one) for subset, of in told.items() for one in of]
    lines += [
        f"| {subset} | {one['of']} | {one['train']} | {one['test']} | {one['both']} | {one['train_rows']} | "
        f"{one['test_rows']} | {', '.join(one['examples']).replace('|', ' ')} |"
        for subset, one in rows
    ] or ["| none says where its rows are from | | | | | | | |"]
    return lines


def _through_translation(told: dict[str, Any]) -> list[str]:
    lines = [
        "", "## Through translation", "",
        f"{told['rows']} training rows have a translation that stands, exactly or nearly, in a test. The translations "
        "were not added; the rows stay in their files, and their number in the training mix, with that of all that was "
        f"made of them, is {told['in_mix']}.", "",
    ]  # fmt: skip
    for one in told["examples"]:
        lines += [f"- `{one['train']}` {one['words']}".replace("\n", " ")]
        lines += [f"  - translated, it is `{one['test']}`: {one['translation']}".replace("\n", " ")]
    return lines


def _shown(side: dict[str, Any]) -> str:
    return " ".join(part for part in (side["words"].replace("\n", " "), side["picture"]) if part)
