"""Score a run: join its answers to records by id, parse them in one mode, and compute metrics with 95% intervals."""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from eval.run.join import join, load_predictions, require_data, run_json
from eval.run.selection import Selection, split_of
from eval.run.up_to_date import KEY, made_of, standing
from eval.score.baselines import add_learned, trivial
from eval.score.bootstrap import RESAMPLES, SEED
from eval.score.figure import resampled_note, withheld
from eval.score.groups import groups_of, unit_of
from eval.score.humans import ORIGINS, add_humans
from eval.score.learned import LearnedAnswers, learned_answers
from eval.score.measure import MODES, Answers, answers, majority, strict
from eval.score.measured import FEW_ROWS, Draw, RowFacts, attainable, beside, few_rows_text, measured
from eval.score.metrics import Array
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
    learned: Mapping[str, LearnedAnswers] | None = None,
) -> dict[str, Any]:
    """The content of scores.MODE.json for the subsets of `records`. Reads and writes no file.

    readout: the run's readout. A task that it does not fit records "greedy" instead (eval/score/readout.py).
    learned: the answers of the learned baseline for each subset (eval/score/learned.py).
    Raises Fault when a prediction is missing, occurs twice or belongs to no record, and when a subset has no records;
    UsageFault for an unknown mode.
    """
    if mode not in MODES:
        raise UsageFault(f"--mode: {mode} is not one of {', '.join(MODES)}")

    def scored_subset(name: str) -> dict[str, Any]:
        texts = join(name, records[name], predictions.get(name, ()))
        return _subset(benchmark()[name], records[name], texts, mode, Draw(resamples, seed))

    # One thread can parse while the other resamples in numpy. More BLAS threads would only wait for one another.
    with threadpool_limits(1), ThreadPoolExecutor(2) as pool:
        subsets = dict(zip(records, pool.map(scored_subset, records), strict=True))
    for name, found in subsets.items():
        for task in benchmark()[name].tasks:
            if (scored := found.get("tasks", {task.key: found}).get(task.key)) is not None:
                scored["readout"] = readout_of(task, readout)
                if learned is not None:
                    chosen = [one for one in records[name] if benchmark()[name].task(one.task) == task]
                    add_learned(scored, task, mode, chosen, learned[name])
    about = {"schema": 1, "mode": mode, "readout": readout, "resamples": resamples, "seed": seed}
    return about | {"subsets": subsets}


def _subset(subset: Subset, records: Sequence[Record], texts: Sequence[str], mode: str, draw: Draw) -> dict[str, Any]:
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
    return tasks[subset.tasks[0].key]


def _task(task: Task, records: Sequence[Record], texts: Sequence[str], mode: str, draw: Draw) -> dict[str, Any]:
    read = answers(task, records, texts, mode)
    asked = _asked(task, records)
    found = _scored(task, mode, read, draw, asked)
    constant = read._replace(prediction=majority(task, read.gold))
    baseline = measured(task, mode, constant, Draw(0, 0), asked).values
    # A constant has no correlation, so the baseline is 0 in both modes.
    found["majority"] = {name: 0.0 if value is None else value for name, value in baseline.items()}
    found["baselines"] = trivial(task, mode, read.gold, asked.emotions)
    units = resampled_note(found) if any(record.group for record in records) else _unknown_note(task)
    if notes := [*filter(None, [found.get("withheld"), *_notes(task, mode, read), units])]:
        found["notes"] = notes
    if len(benchmark()[task.subset].languages) > 1:
        found["by_language"] = _by_language(task, mode, read, draw, records)
    if mode == "strict":
        found["unparsed_rows"] = {
            "ids": [records[row].id for row in read.unparsed],
            "examples": [
                {"id": records[row].id, "text": texts[row][:500], "reason": reason}
                for row, reason in list(read.unparsed.items())[:_LISTED]
            ],
        }
    return found


def _unknown_note(task: Task) -> str:
    """The note when no record has a group, as in an older build or a release; "" for a subset without groups."""
    unit = benchmark()[task.subset].unit
    return unit and f"the data do not say which rows share a {unit}, so each row is resampled alone: build again"


def _by_language(task: Task, mode: str, read: Answers, draw: Draw, records: Sequence[Record]) -> dict[str, Any]:
    rows: dict[str, list[int]] = {}
    for row, record in enumerate(records):
        rows.setdefault(record.language, []).append(row)
    return {
        language: _scored(task, mode, read.of(chosen), draw, _asked(task, [records[row] for row in chosen]))
        for language, chosen in sorted(rows.items())
    }


def _asked(task: Task, records: Sequence[Record]) -> RowFacts:
    emotions = [record.emotion for record in records] if task.per_emotion else None
    return RowFacts(emotions, groups_of(records), unit_of(records))


def _scored(task: Task, mode: str, read: Answers, draw: Draw, asked: RowFacts) -> dict[str, Any]:
    """The entry of a task, or of one of its languages, in scores.MODE.json."""
    values, ci95, about = measured(task, mode, read, draw, asked)
    n, unparsed = len(read.gold), len(read.unparsed)
    found: dict[str, Any] = {"n": n, "unparsed": unparsed, "unparsed_rate": unparsed / n, "metrics": values,
                             "ci95": ci95, **about, **beside(task, mode, read, draw, asked)}  # fmt: skip
    if reason := withheld(task, read, asked.emotions):
        found["withheld"] = reason
    return found


def task_metrics(
    task: Task, golds: Sequence[Gold], emotions: Sequence[str | None], texts: Sequence[str]
) -> dict[str, float]:
    """The metrics of n answers to one task, as score() computes them in strict mode, without undefined ones.

    "unparsed" is the share of unparsed answers.
    """
    read = strict(task, golds, emotions, texts)
    values = measured(task, "strict", read, Draw(0, 0), RowFacts(emotions if task.per_emotion else None)).values
    found = {name: value for name, value in values.items() if value is not None}
    return found | {"unparsed": len(read.unparsed) / len(texts)}


def _notes(task: Task, mode: str, read: Answers) -> list[str]:
    """Notes that a reader needs to interpret the metrics."""
    notes = []
    if not isinstance(task.grammar, Labels):
        if (read.prediction == read.prediction[:1]).all():
            notes.append(f"constant prediction: correlation {'counted as 0' if mode == 'strict' else 'undefined'}")
    elif mode == "strict":
        seen: Array = np.vstack([read.gold, read.prediction]).max(axis=0)
        if absent := [name for name, occurs in zip(task.grammar.names, seen, strict=True) if not occurs]:
            notes.append(f"classes in neither gold nor predictions, which macro_f1 counts as 0: {', '.join(absent)}")
        if (most := attainable(read)) < 1:
            notes.append(f"macro_f1 can reach at most {most:.3f}, since classes without gold count as 0")
    if isinstance(task.grammar, Labels) and len(read.gold) < FEW_ROWS:
        notes.append(few_rows_text())
    if task.ours:
        notes.append("the prompt is this project's, not the paper's")
    return notes


def score_run(run: Path, data: Dataset, mode: str, subsets: Sequence[str] | None = None) -> dict[str, Any]:
    """Score RUN's answers against the records of DATA, and write RUN/scores.MODE.json atomically.

    If that file is up to date, it is only read. Raises Fault when the data changed after the build, lacks a subset, or
    is not the data that the run answered; also raises what score() raises.
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
    learned = {name: learned_answers(data, name, split) for name in names}
    scores = score(records, predictions, mode, readout=readout, learned=learned)
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
    """Add "sample": {"limit", "of"} to every subset, task and language of which only some rows were answered."""

    def mark(found: dict[str, Any], rows: int) -> None:
        if found["n"] < rows:
            found["sample"] = {"limit": limit, "of": rows}

    for name, found in subsets.items():
        mark(found, len(whole[name]))
        for key, one in found.get("tasks", {}).items():
            mark(one, sum(record.task == benchmark()[name].task(key).kind for record in whole[name]))
        for language, one in found.get("by_language", {}).items():
            mark(one, sum(record.language == language for record in whole[name]))
