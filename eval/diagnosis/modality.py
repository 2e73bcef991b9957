"""Modality ignorance: what changes when pictures are replaced by grey or by another record's, or the text is removed.

The ablated answers come from `mmaffben predict --ablation blank|shuffled|silent` on the same checkpoint and records.
The loss of score is tested with the paired permutation test of `mmaffben compare`. If such runs are missing, the
diagnosis prints the commands that make them.
"""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eval.ask.ablation import ABLATIONS, PROMPT
from eval.ask.variants import PROMPTS, variant
from eval.diagnosis.finding import Finding, share
from eval.run.selection import Selection
from eval.score.answered import Answered, swapped
from eval.score.bootstrap import RESAMPLES
from eval.score.figure import withheld
from eval.score.metrics import Array
from eval.score.paired import seed_of
from eval.score.permutation import judge
from mmafflm.benchmark.benchmark import Task
from mmafflm.errors import Fault

# Entries of run.json that must be equal, so that the ablation is the only difference.
SAME = (
    "checkpoint",
    "weights",
    "commit",
    "engine",
    "readout",
    "decoding",
    "budget",
    "template",
    "dtype",
    "data_hash",
    "limit",
    "languages",
)
_TAKEN = {
    "blank": "grey pictures",
    "shuffled": "another record's pictures",
    "silent": "no text",
}


def applies(ablation: str, task: Task) -> bool:
    """Whether the ablation (blank, shuffled or silent) changes anything in this task's question."""
    if ablation == "silent":
        return "{text}" in task.prompt or "{transcript}" in task.prompt
    return task.modality != "text"


def require_same(run: Path, described: Mapping[str, Any], other: Path, ablated: Mapping[str, Any]) -> str:
    """The ablation of OTHER.

    Raises Fault when OTHER has no ablation, when RUN has one, or when the runs differ in more than the ablation.
    """
    ablation = ablated.get("ablation", "none")
    if ablation not in (*_TAKEN, *PROMPTS):
        raise Fault(f"{other}: its ablation is {ablation}, so its questions are not changed. "
                    f"Make it with mmaffben predict --ablation {'|'.join((*_TAKEN, PROMPT))}.")  # fmt: skip
    if described.get("ablation", "none") != "none":
        raise Fault(f"{run}: is an ablated run itself ({described['ablation']}). Give a run without ablation first.")
    if differ := [name for name in SAME if described.get(name) != ablated.get(name)]:
        name = differ[0]
        raise Fault(
            f"{other}: its {name} is {ablated.get(name)}, that of {run} is {described.get(name)}, so the ablation "
            "would not be the only difference. Predict it again with the same arguments as the run."
        )
    return str(ablation)


def ignorance(
    tasks: Sequence[Answered], ablated: Mapping[str, Sequence[Answered]], resamples: int = RESAMPLES
) -> tuple[list[Finding], list[dict[str, Any]]]:
    """Two findings for each task and ablation, and the details to draw. `ablated`: {ablation: tasks of its runs}."""
    findings, details = [], []
    for ablation in _TAKEN:
        others = ablated.get(ablation, ())
        by_name = {other.name: other for other in others}
        for one in tasks:
            if applies(ablation, one.task) and one.name in by_name:
                found = _compared(one, by_name[one.name], ablation, resamples)
                findings.extend(found)
                details.append(_detail(one, ablation, found))
    return findings, details


def changes(one: Answered, other: Answered) -> Array:
    """Which rows have different answers in the two runs, [n]: both parsed and different, or only one of them parsed."""
    differ = one.read.prediction != other.read.prediction
    differ = differ.any(1) if differ.ndim == 2 else differ
    silent, also = (np.array([row in read.unparsed for row in range(len(differ))], dtype=bool)
                    for read in (one.read, other.read))  # fmt: skip
    changed: Array = np.where(silent | also, silent != also, differ)
    return changed


def require_records(one: Answered, other: Answered, ablation: str) -> None:
    """Raises Fault when the ablated run answered other records than the run."""
    if [record.id for record in one.records] != [record.id for record in other.records]:
        raise Fault(f"{one.name}: the {ablation} run answered other records. Predict it again with the same --limit.")


def _compared(one: Answered, other: Answered, ablation: str, resamples: int) -> list[Finding]:
    require_records(one, other, ablation)
    changed = changes(one, other)
    seed = seed_of("modality", one.name, ablation)
    value, ci95 = share(int(changed.sum()), len(changed), seed, resamples)
    said = f"{one.name}: with {_TAKEN[ablation]}, {changed.mean():.1%} of the answers change."
    found = Finding("changed", one.task.subset, one.task.key, ablation, value, ci95, len(changed), said)
    return [found, _lost(one, other, ablation, seed, resamples)]


def _lost(one: Answered, other: Answered, ablation: str, seed: int, resamples: int) -> Finding:
    """The loss of the main metric, with the test of `mmaffben compare`.

    Its value and interval are None when a score is withheld because most answers are unparsed.
    """
    task, taken, metric = one.task, f"with {_TAKEN[ablation]}", one.task.main_metric
    whole: float | None = None
    without: float | None = None
    value = ends = None
    if reason := withheld(task, one.read, one.emotions):
        said = f"{one.name}: {reason}."
    elif reason := withheld(task, other.read, other.emotions):
        said = f"{one.name}, {taken}: {reason}."
    else:
        runs = swapped(one, other, "strict", resamples, seed)
        whole, without = (float(runs.values(run)[metric][0]) for run in (0, 1))
        said = f"{one.name}: {taken}, {metric} goes from {whole:.3f} to {without:.3f}."
        value, ends, p = judge(runs.difference(1, 0)[metric], len(one.records))
        ends = None if p is None else ends  # too few rows for a test
    data = {"metric": metric, "whole": whole, "without": without}
    return Finding("lost", task.subset, task.key, ablation, value, ends, len(one.records), said, data)


def _detail(one: Answered, ablation: str, found: Sequence[Finding]) -> dict[str, Any]:
    changed, lost = found
    return {
        "subset": one.task.subset, "task": one.task.key, "ablation": ablation, "n": len(one.records), **lost.data,
        "changed": changed.value, "changed_ci95": changed.ci95, "lost": lost.value, "lost_ci95": lost.ci95,
    }  # fmt: skip


def not_measured(
    run: Path, described: Mapping[str, Any], tasks: Sequence[Answered], ablated: Mapping[str, Sequence[Answered]]
) -> list[dict[str, str]]:
    """The ablations without a run, each with the command that makes it; [] if the run itself is ablated.

    They are listed because a missing check must not be taken for a passed one. The other forms of the prompt share one
    command.
    """
    if described.get("ablation", "none") != "none":
        return []
    found = []
    for ablation in _TAKEN:
        done = {other.name for other in ablated.get(ablation, ())}
        lacking = [one for one in tasks if applies(ablation, one.task) and one.name not in done]
        subsets = list(dict.fromkeys(one.task.subset for one in lacking))
        if subsets:
            command = _command(run, described, ablation, subsets)
            sentence = f"{', '.join(subsets)}: no run with {ablation} ({ABLATIONS[ablation]}). To make it: {command}"
            found.append({"kind": "modality_ignorance", "ablation": ablation, "command": command, "sentence": sentence})
    asked = {(name, other.name) for name in PROMPTS for other in ablated.get(name, ())}
    lacking = [one for one in tasks for name in PROMPTS if variant(one.task, name) and (name, one.name) not in asked]
    if subsets := list(dict.fromkeys(one.task.subset for one in lacking)):
        command = _command(run, described, PROMPT, subsets)
        sentence = (
            f"{', '.join(subsets)}: no runs with other prompts ({'; '.join(PROMPTS.values())}). To make them: {command}"
        )
        found.append({"kind": "prompt_dependence", "ablation": PROMPT, "command": command, "sentence": sentence})
    return found


def _command(run: Path, described: Mapping[str, Any], ablation: str, subsets: Sequence[str]) -> str:
    limit, languages = Selection.of_run(described)
    out = str(run) if ablation == PROMPT else f"{run}-{ablation}"  # --ablation prompt adds the name of each form
    words = [
        "mmaffben", "predict", "--ckpt", str(described.get("checkpoint") or "CKPT"),
        "--data", str(described.get("data") or "DATA"), "--out", out, "--ablation", ablation,
        "--subsets", ",".join(subsets), *(["--limit", str(limit)] if limit is not None else []),
        *(["--languages", ",".join(languages)] if languages is not None else []),
    ]  # fmt: skip
    return shlex.join(words)
