"""Loads the input of a report: runs with their scores and diagnosis, and their answers joined to the records."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.report.results_schema import Diagnosis, ScoresEntry, require
from eval.run.join import join, load_predictions, require_data, run_json
from eval.run.selection import Selection, split_of
from eval.score.answered import Answered, by_task
from eval.score.measure import MODES
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import Dataset, split_file
from mmafflm.errors import Fault, UsageFault
from mmafflm.files.documents import read_json
from mmafflm.files.inside import quoted
from mmafflm.records import sha256_of

DIAGNOSIS, READOUT = "diagnosis.json", "readout.json"
COMPARABLE = (
    "readout",
    "limit",
    "languages",
    "ablation",
    "engine",
    "decoding",
    "budget",
    "template",
)  # the report has a sentence for each of these entries of run.json in which the runs differ


@dataclass(frozen=True)
class Run:
    """One run: run.json, scores by mode (strict, and paper if scored in paper mode), and the content of diagnosis.json.

    diagnosis: None for a run without the file, and on a leaderboard.
    """

    name: str
    folder: Path
    described: dict[str, Any]
    scores: dict[str, dict[str, Any]]
    diagnosis: Any
    files: dict[str, str]  # {path below the run: SHA-256} of every file that was read

    @property
    def thresholds(self) -> dict[str, Any]:
        """{subset: the thresholds of its label set and their validation rows}; {} for a run without thresholds."""
        found: dict[str, Any] = (read_made(self.folder / READOUT) or {}).get("thresholds", {})
        return found

    @property
    def readout(self) -> str:
        """The run's readout, and with "and" the readouts of tasks that it does not fit (eval/score/readout.py)."""
        own = str(self.described.get("readout", "greedy"))
        subsets = self.scores["strict"]["subsets"].values()
        read = {task.get("readout", own) for found in subsets for task in found.get("tasks", {"": found}).values()}
        return " and ".join([own, *sorted(read - {own})])

    def readout_of(self, subset: str, key: str) -> str:
        """The readout of one task; "" when the run has no scores of the task."""
        scored = self.scored(subset, key)
        return "" if scored is None else str(scored.get("readout", self.described.get("readout", "greedy")))

    def scored(self, subset: str, key: str, mode: str = "strict") -> dict[str, Any] | None:
        """The scores of one task; None when the run has no scores of the task."""
        found = self.scores.get(mode, {}).get("subsets", {}).get(subset)
        if found is None or "tasks" not in found:
            return found
        task: dict[str, Any] | None = found["tasks"].get(key)
        return task


def load_runs(folders: Sequence[Path], data: Dataset) -> list[Run]:
    """The runs in the given order.

    Raises UsageFault for a folder that is given twice; UsageFault or Fault for a run that is not scored, has other data
    or another split, or whose diagnosis does not come from its answers.
    """
    return [_load(folder, name, data) for folder, name in zip(folders, run_names(folders), strict=True)]


def run_names(folders: Sequence[Path]) -> list[str]:
    """Each folder's name, after its parent's if two names are equal. Raises UsageFault if a folder occurs twice."""
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise UsageFault("RUN: the same folder is named twice. Name each run once.")
    names = [folder.resolve().name for folder in folders]
    return [
        name if names.count(name) == 1 else "/".join(folder.resolve().parts[-2:])
        for folder, name in zip(folders, names, strict=True)
    ]


def _load(folder: Path, name: str, data: Dataset) -> Run:
    described = run_json(folder)
    require_data(folder, described, data)
    if (split := split_of(described)) != "test":
        raise Fault(f"{folder}: answers the {split} records, but a report needs answers to the test records. "
                    "Predict those into another folder: mmaffben predict without --split.")  # fmt: skip
    scores = scores_of(folder, data)
    read = ["run.json", *(f"scores.{mode}.json" for mode in scores)]
    diagnosis = read_made(folder / DIAGNOSIS)
    if diagnosis is not None:
        require(Diagnosis, diagnosis, folder / DIAGNOSIS, f"Make it again: {_again('diagnose', folder, data)}")
        read.append(DIAGNOSIS)
    read += [READOUT] if (folder / READOUT).exists() else []
    read += sorted(path.name for path in folder.glob("comparison.*.json"))
    read += [f"predictions/{subset}.jsonl" for subset in scores["strict"]["subsets"]]
    run = Run(name, folder, described, scores, diagnosis, hashes_of(folder, read))
    _require_of_these_answers(run, data)
    return run


def scores_of(folder: Path, data: Dataset) -> dict[str, dict[str, Any]]:
    """{mode: the content of scores.MODE.json}. Raises Fault without strict scores, and for a file in a wrong format."""
    scores = {mode: found for mode in MODES if (found := read_made(folder / f"scores.{mode}.json")) is not None}
    if "strict" not in scores:
        raise Fault(f"{folder}: no scores.strict.json. Score it first: {_again('score', folder, data)}")
    for mode, found in scores.items():
        require(ScoresEntry, found, folder / f"scores.{mode}.json", "Score the run again.")
        if strange := [one for one in found["subsets"] if one not in benchmark()]:
            raise Fault(f"{folder / f'scores.{mode}.json'}: {quoted(strange[0])} is not a subset. Score the run again.")
    return scores


def hashes_of(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """{name: SHA-256} of a run's files. Raises Fault for a missing file."""
    if missing := [one for one in names if not (folder / one).exists()]:
        raise Fault(f"{folder / missing[0]}: missing, but the run has scores of it. Predict and score again.")
    return {one: sha256_of(folder / one) for one in names}


def _require_of_these_answers(run: Run, data: Dataset) -> None:
    """Raises Fault when the diagnosis counts other answers than the scores, so it is older than these."""
    for one in (run.diagnosis or {}).get("findings", ()):
        scored = run.scored(one["subset"], one["task"]) if one["check"] == "unparsed" else None
        if scored and (scored["n"], scored["unparsed"]) != (one["n"], round(one["value"] * one["n"])):
            raise Fault(f"{run.folder / DIAGNOSIS}: does not come from these answers ({one['subset']} {one['task']}). "
                        f"Diagnose again: {_again('diagnose', run.folder, data)}")  # fmt: skip


def read_made(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file; None if the file is missing. Raises Fault if the file is not a JSON object."""
    try:
        return read_json(path, "Make it again.")
    except FileNotFoundError:
        return None


def subsets_of(runs: Sequence[Run], data: Dataset) -> list[str]:
    """The subsets with scores of any run, in the benchmark's order. Raises Fault for changed or missing records."""
    names = [name for name in benchmark() if any(name in run.scores["strict"]["subsets"] for run in runs)]
    if lacking := [name for name in names if name not in data.subsets("test")]:
        raise Fault(f"{data.path}: no test records of {', '.join(lacking)}. Use the data of the runs.")
    data.require_unchanged(split_file(name, "test") for name in names)
    return names


def rows_of(subset: str, runs: Sequence[Run], data: Dataset) -> dict[str, dict[str, Answered]]:
    """{task key: {run name: its answers, parsed in strict mode}} of one subset, for the runs with scores of it.

    Raises Fault when a run's answers do not match its records, or its scores come from other answers.
    """
    records = list(data.records(subset, "test"))
    found: dict[str, dict[str, Answered]] = {}
    for run in runs:
        if subset not in run.scores["strict"]["subsets"]:
            continue
        asked = Selection.of_run(run.described).of(records)
        texts = join(subset, asked, load_predictions(run.folder / "predictions" / f"{subset}.jsonl"))
        for one in by_task(subset, asked, texts, "strict"):
            scored = run.scored(subset, one.task.key)
            if scored is None or (scored["n"], scored["unparsed"]) != (len(one.records), len(one.read.unparsed)):
                raise Fault(f"{run.folder}: scores.strict.json does not come from these answers ({one.name}). "
                            f"Score again: {_again('score', run.folder, data)}")  # fmt: skip
            found.setdefault(one.task.key, {})[run.name] = one
    return found


def differences(runs: Sequence[Run]) -> list[str]:
    """A sentence for each setting in which the runs differ, because then their scores may not be comparable."""
    said = []
    for name in COMPARABLE:
        values = [run.described.get(name, "none" if name == "ablation" else None) for run in runs]
        if any(value != values[0] for value in values):
            each = ", ".join(f"{run.name} {_short(value)}" for run, value in zip(runs, values, strict=True))
            said.append(f"The runs differ in {name}: {each}.")
    return said


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _again(verb: str, folder: Path, data: Dataset) -> str:
    """A command, ready to copy, that makes a run's file again."""
    return shlex.join(["mmaffben", verb, str(folder), "--data", str(data.path)])
