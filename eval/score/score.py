"""Scores of a run: answers joined to records by id, parsed in one mode, measured, with 95% bootstrap intervals."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eval.run.join import join, load_predictions, require_data, run_json
from eval.run.selection import Selection, split_of
from eval.run.up_to_date import KEY, made_of, standing
from eval.score.bootstrap import RESAMPLES, SEED, distribution, interval
from eval.score.figure import withheld
from eval.score.humans import ORIGINS, add_humans
from eval.score.measure import MODES, Answers, answers, majority, measure, strict
from eval.score.metrics import Array, Floats
from eval.score.readout import readout_of
from eval.score.weighed import add_calibration, likelihood_files
from mmafflm.benchmark.benchmark import Subset, Task, benchmark
from mmafflm.benchmark.grammar import Gold, Labels
from mmafflm.dataset import Dataset, split_file
from mmafflm.errors import Fault, UsageFault
from mmafflm.records import Prediction, Record, write_text
from mmafflm.terminal.command import say

_LISTED = 20  # unparsed answers that are listed with their text


def score(
    records: Mapping[str, Sequence[Record]],
    predictions: Mapping[str, Sequence[Prediction]],
    mode: str,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    readout: str = "greedy",
) -> dict[str, Any]:
    """The content of scores.MODE.json for the subsets of `records`. Touches no disk.

    readout: the run's. Each task records its own, which is greedy if the run's does not fit it (eval/score/readout.py).
    Raises Fault when a prediction is missing, double or foreign, or a subset has no records; UsageFault for an unknown
    mode.
    """
    if mode not in MODES:
        raise UsageFault(f"--mode: {mode} is not one of {', '.join(MODES)}")
    subsets = {
        name: _subset(benchmark()[name], rows, join(name, rows, predictions.get(name, ())), mode, (resamples, seed))
        for name, rows in records.items()
    }
    for name, found in subsets.items():
        for task in benchmark()[name].tasks:
            if (scored := found.get("tasks", {task.key: found}).get(task.key)) is not None:
                scored["readout"] = readout_of(task, readout)
    about = {"schema": 1, "mode": mode, "readout": readout, "resamples": resamples, "seed": seed}
    return about | {"subsets": subsets}


def _subset(
    subset: Subset, records: Sequence[Record], texts: Sequence[str], mode: str, draw: tuple[int, int]
) -> dict[str, Any]:
    by_task: dict[str, list[int]] = {}
    for row, record in enumerate(records):
        by_task.setdefault(subset.task(record.task).key, []).append(row)
    tasks = {
        task.key: _task(task, [records[row] for row in rows], [texts[row] for row in rows], mode, draw)
        for task in subset.tasks
        if (rows := by_task.get(task.key))
    }
    if not tasks:
        raise Fault(f"{subset.name}: no records to score. Build it again, or leave it out with --subsets.")
    if len(subset.tasks) > 1:
        return {"n": len(records), "unparsed": sum(one["unparsed"] for one in tasks.values()), "tasks": tasks}
    found = tasks[subset.tasks[0].key]
    if len(subset.languages) > 1:
        found["by_language"] = _by_language(subset.tasks[0], records, texts, mode, draw)
    return found


def _by_language(
    task: Task, records: Sequence[Record], texts: Sequence[str], mode: str, draw: tuple[int, int]
) -> dict[str, Any]:
    rows: dict[str, list[int]] = {}
    for row, record in enumerate(records):
        rows.setdefault(record.language, []).append(row)
    found = {}
    for language, chosen in sorted(rows.items()):
        read = answers(task, [records[row] for row in chosen], [texts[row] for row in chosen], mode)
        values, ci95 = _measured(task, mode, read, draw)
        found[language] = {"n": len(chosen), "unparsed": len(read.unparsed), "metrics": values, "ci95": ci95}
        if reason := withheld(task, read):
            found[language]["withheld"] = reason
    return found


def _task(
    task: Task, records: Sequence[Record], texts: Sequence[str], mode: str, draw: tuple[int, int]
) -> dict[str, Any]:
    read = answers(task, records, texts, mode)
    emotions = [record.emotion for record in records] if task.per_emotion else None
    values, ci95 = _measured(task, mode, read, draw, emotions)
    baseline, _ = _measured(task, mode, read._replace(prediction=majority(task, read.gold)), (0, 0), emotions)
    found: dict[str, Any] = {"n": len(records), "unparsed": len(read.unparsed), "metrics": values, "ci95": ci95}
    # A constant has no correlation, so the baseline is 0 in both modes.
    found["majority"] = {name: 0.0 if value is None else value for name, value in baseline.items()}
    if reason := withheld(task, read, emotions):
        found["withheld"] = reason
    if notes := [*filter(None, [reason]), *_notes(task, mode, read)]:
        found["notes"] = notes
    if mode == "strict":
        found["unparsed_rows"] = {
            "ids": [records[row].id for row in read.unparsed],
            "examples": [
                {"id": records[row].id, "text": texts[row][:500], "reason": reason}
                for row, reason in list(read.unparsed.items())[:_LISTED]
            ],
        }
    return found


def task_metrics(
    task: Task, golds: Sequence[Gold], emotions: Sequence[str | None], texts: Sequence[str]
) -> dict[str, float]:
    """The metrics of n answers to one task, as score() gives them in strict mode; "unparsed": the share unparsed."""
    read = strict(task, golds, emotions, texts)
    values, _ = _measured(task, "strict", read, (0, 0), emotions if task.per_emotion else None)
    found = {name: value for name, value in values.items() if value is not None}
    return found | {"unparsed": len(read.unparsed) / len(texts)}


def _notes(task: Task, mode: str, read: Answers) -> list[str]:
    """What a reader of the numbers must know."""
    notes = []
    if not isinstance(task.grammar, Labels):
        if (read.prediction == read.prediction[:1]).all():
            notes.append(f"constant prediction: correlation {'counted as 0' if mode == 'strict' else 'undefined'}")
    elif mode == "strict":
        seen: Array = np.vstack([read.gold, read.prediction]).max(axis=0)
        if absent := [name for name, occurs in zip(task.grammar.names, seen, strict=True) if not occurs]:
            notes.append(f"macro_f1 counts as 0, with neither gold nor prediction: {', '.join(absent)}")
    if task.ours:
        notes.append("the prompt is this project's, not the paper's")
    return notes


def _measured(
    task: Task, mode: str, read: Answers, draw: tuple[int, int], emotions: Sequence[str | None] | None = None
) -> tuple[dict[str, float | None], dict[str, list[float] | None]]:
    """Metrics and intervals. With emotions, each is measured and resampled separately; the score is their mean."""
    if emotions is None:
        drawn = _drawn(task, mode, read.gold, read.prediction, draw)
    else:
        of = np.array(emotions, dtype=object)
        parts = {
            emotion: _drawn(task, mode, read.gold[of == emotion], read.prediction[of == emotion], draw)
            for emotion in task.emotions
            if (of == emotion).any()
        }
        names = next(iter(parts.values()))
        drawn = {name: np.mean([part[name] for part in parts.values()], axis=0) for name in names}
        drawn |= {f"pearson_{emotion}": part["pearson"] for emotion, part in parts.items()}
    values = {name: float(found[0]) if math.isfinite(found[0]) else None for name, found in drawn.items()}
    return values, {name: interval(found[1:]) for name, found in drawn.items()}


def _drawn(task: Task, mode: str, gold: Array, prediction: Array, draw: tuple[int, int]) -> dict[str, Floats]:
    """Every metric, [1 + resamples]: for the rows themselves, then for each resample; equal rows are counted as one."""
    gold, prediction, counts = _distinct(gold, prediction)
    whole = measure(task, mode, gold, prediction, counts[None, :])
    resampled = distribution(lambda weights: measure(task, mode, gold, prediction, weights), counts, *draw)
    return {name: np.concatenate([value, resampled.get(name, value[:0])]) for name, value in whole.items()}


def _distinct(gold: Array, prediction: Array) -> tuple[Array, Array, Floats]:
    """The distinct (gold, prediction) rows and how often each occurs. Rows of dimensions are all kept, once each.

    Not paired.distinct: its order would give other resamples and change the last digits of every interval so far.
    """
    if gold.dtype == bool:  # at most 27 classes a side: a row fits into 64 bits
        bits = np.column_stack([gold, prediction]).astype(np.uint64)
        keys = bits @ (np.uint64(1) << np.arange(bits.shape[1], dtype=np.uint64))
    elif gold.ndim == 1:
        keys = gold + 1j * prediction
    else:
        return gold, prediction, np.ones(len(gold))
    _, first, counts = np.unique(keys, return_index=True, return_counts=True)
    return gold[first], prediction[first], counts.astype(float)


def score_run(run: Path, data: Dataset, mode: str, subsets: Sequence[str] | None = None) -> dict[str, Any]:
    """Score RUN against the records of DATA that it was asked, and write RUN/scores.MODE.json atomically.

    Existing scores of the same answers are read, not computed again. Raises Fault when the data changed after the build
    or is not the data of the run, and what score() raises.
    """
    described = run_json(run)
    require_data(run, described, data)
    split = split_of(described)
    names = [name for name in benchmark() if name in described["subsets"]] if subsets is None else list(subsets)
    if lacking := [name for name in names if name not in data.subsets(split)]:
        raise Fault(
            f"{data.path}: no {split} records of {', '.join(lacking)}. Build them, or leave them out (--subsets)."
        )
    data.require_unchanged(split_file(name, split) for name in names)
    selection, readout = Selection.of_run(described), described.get("readout", "greedy")
    answers_of = {name: run / "predictions" / f"{name}.jsonl" for name in names}
    read = [*answers_of.values(), *likelihood_files(run, names).values(), data.path / ORIGINS]
    made = made_of(read, mode=mode, **selection.to_json(), readout=readout, data=data.hash)
    if (stands := standing(run / f"scores.{mode}.json", made)) is not None:
        say(f"{run / f'scores.{mode}.json'}: up to date.")
        return stands
    whole = {name: selection.in_languages(data.records(name, split)) for name in names}
    records = {name: selection.of(rows) for name, rows in whole.items()}
    predictions = {name: load_predictions(path) for name, path in answers_of.items()}
    scores = score(records, predictions, mode, readout=readout)
    if mode == "strict":
        add_calibration(scores["subsets"], run, records, readout)
        add_humans(scores["subsets"], data.path, records)
    scores |= {key: value for key, value in selection.to_json().items() if value is not None}
    if selection.limit is not None:
        _mark_samples(scores["subsets"], whole, selection.limit)
    if split != "test":
        scores["split"] = split
    scores[KEY] = made
    write_text(run / f"scores.{mode}.json", json.dumps(scores, ensure_ascii=False, allow_nan=False, indent=1) + "\n")
    return scores


def _mark_samples(subsets: dict[str, Any], whole: Mapping[str, Sequence[Record]], limit: int) -> None:
    """Add "sample": {"limit", "of"} to every subset, task and language that was asked fewer rows than it has."""

    def mark(found: dict[str, Any], rows: int) -> None:
        if found["n"] < rows:
            found["sample"] = {"limit": limit, "of": rows}

    for name, found in subsets.items():
        mark(found, len(whole[name]))
        for key, one in found.get("tasks", {}).items():
            mark(one, sum(record.task == benchmark()[name].task(key).kind for record in whole[name]))
        for language, one in found.get("by_language", {}).items():
            mark(one, sum(record.language == language for record in whole[name]))
