"""The result of one validation as a row of OUT/validation.jsonl, read from the files that mmaffben wrote."""

from collections import Counter
from pathlib import Path
from typing import Any

from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault
from mmafflm.files.documents import read_json
from mmafflm.records import read_jsonl

ROWS = "validation.jsonl"  # below OUT
LOOK = "Look at validation.log next to it."
Row = dict[str, Any]


def validation_row(run: Path, data: Path, step: int) -> Row:
    """{"step", "tasks": {task: {...}}, "languages": {subset: {language: score}}} of a scored and diagnosed run.

    A task has its metric and score, the share of unparsed answers, and the shares of the most frequent answer and of
    the most frequent gold answer. A task of numbers also has the spread: the standard deviation of the answers over
    that of a calibrated predictor with the same r, or the smallest such ratio of several dimensions. The score is None
    when `mmaffben score` withholds it, because most answers to a numeric task are unparsed. Raises Fault when a file is
    missing or is not what mmaffben writes.
    """
    try:
        scores = read_json(run / "scores.strict.json", LOOK)["subsets"]
        findings = read_json(run / "diagnosis.json", LOOK)["findings"]
    except (OSError, KeyError) as error:
        raise Fault(f"{run}: not a scored run ({error}). {LOOK}") from None
    tops = _most_frequent(run, Dataset.open(data), list(scores))
    row: Row = {"step": step, "tasks": {}, "languages": {}}
    for subset, scored in scores.items():
        first = benchmark()[subset].tasks[0]
        for key, one in (scored.get("tasks") or {first.key: scored}).items():
            task = benchmark()[subset].task(key)
            metric = task.main_metric
            row["tasks"][task.name] = {
                "n": one["n"],
                "metric": metric,
                "score": None if "withheld" in one else one["metrics"][metric],
                "unparsed_share": round(one["unparsed"] / one["n"], 4),
                **tops[subset, key],
                "spread": _spread(findings, subset, key),
            }
        if "by_language" in scored:
            row["languages"][subset] = {
                language: one["metrics"][first.main_metric] for language, one in scored["by_language"].items()
            }
    return row


def _spread(findings: list[Row], subset: str, key: str) -> float | None:
    found = [one["value"] for one in findings if (one["check"], one["subset"], one["task"]) == ("spread", subset, key)]
    return min((value for value in found if value is not None), default=None)


def _most_frequent(run: Path, data: Dataset, subsets: list[str]) -> dict[tuple[str, str], dict[str, Any]]:
    """By (subset, task key): the most frequent answer (its text), its share, and that of gold's most frequent."""
    found = {}
    for subset in subsets:
        records = {record.id: record for record in data.records(subset, "val")}
        said: dict[str, Counter[str]] = {}
        gold: dict[str, Counter[str]] = {}
        for row in read_jsonl(run / "predictions" / f"{subset}.jsonl"):
            record = records[row["id"]]
            key = benchmark()[subset].task(record.task).key
            said.setdefault(key, Counter())[row["prediction"].strip()] += 1
            gold.setdefault(key, Counter())[record.answer.strip()] += 1
        for key, answers in said.items():
            (top, times), (_, gold_times) = answers.most_common(1)[0], gold[key].most_common(1)[0]
            shares = [round(one / answers.total(), 4) for one in (times, gold_times)]
            found[subset, key] = {"top_answer": top[:100], "top_share": shares[0], "gold_top_share": shares[1]}
    return found


def points(row: Row) -> dict[str, float | None]:
    """A row's points for TensorBoard."""
    found: dict[str, float | None] = {}
    for name, one in row["tasks"].items():
        tag = name.replace(" ", "_")
        found |= {f"validation/{tag}": one["score"], f"validation_unparsed/{tag}": one["unparsed_share"]}
        found |= {f"validation_top_share/{tag}": one["top_share"], f"validation_spread/{tag}": one["spread"]}
    for subset, languages in row["languages"].items():
        found |= {f"validation_{subset}/{language}": score for language, score in languages.items()}
    return found
