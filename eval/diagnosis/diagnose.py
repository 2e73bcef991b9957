"""`mmaffben diagnose`: look for the failures that the paper names and for prompt dependence, with intervals.

Intensity drift, language collapse, modality ignorance, prompt dependence, label prior and format each have a module.
The thresholds and the reasons for them are in eval/diagnosis/finding.py. Answers are parsed in strict mode.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.diagnosis.drift import drift
from eval.diagnosis.finding import CHECKS, KINDS, LEVEL, MIN_ROWS, Finding, corrected
from eval.diagnosis.languages import collapse
from eval.diagnosis.malformed import malformed
from eval.diagnosis.modality import ignorance, not_measured, require_same
from eval.diagnosis.prior import prior
from eval.diagnosis.prompt import dependence
from eval.run.join import run_json
from eval.run.up_to_date import KEY, made_of, standing
from eval.score.answered import Answered, answered_tasks, chosen_subsets
from eval.score.bootstrap import RESAMPLES, SEED
from eval.score.groups import unit_of
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault
from mmafflm.records import write_text
from mmafflm.terminal.command import say
from mmafflm.terminal.progress_bar import progress

SCHEMA = 2  # 2: p of each check, corrected within its kind
FILE = "diagnosis.json"
COPIED = ("checkpoint", "engine", "readout", "ablation", "limit", "languages", "data_hash")  # copied from run.json


def diagnose(
    tasks: Sequence[Answered],
    ablated: Mapping[str, Sequence[Answered]] | None = None,
    resamples: int = RESAMPLES,
    advance: Callable[[int], None] = lambda count: None,
) -> dict[str, Any]:
    """Findings, their summary by kind, and the details that the report draws. Reads and writes no files.

    ablated: {ablation: the tasks of all runs with it}, for the same records. advance: called after each of the KINDS.
    """
    looks: dict[str, Callable[[], tuple[list[Finding], list[dict[str, Any]]]]] = {
        "intensity_drift": lambda: drift(tasks, resamples),
        "language_collapse": lambda: collapse(tasks, resamples),
        "modality_ignorance": lambda: ignorance(tasks, ablated or {}, resamples),
        "prompt_dependence": lambda: dependence(tasks, ablated or {}, resamples),
        "label_prior": lambda: prior(tasks, resamples),
        "format": lambda: malformed(tasks, resamples),
    }
    parts = {}
    for kind, look in looks.items():
        parts[kind] = look()
        advance(1)
    findings = corrected([finding for found, _ in parts.values() for finding in found])
    return {
        "schema": SCHEMA,
        "mode": "strict",
        "resamples": resamples,
        "seed": SEED,
        "units": {one.name: unit_of(one.records) for one in tasks},
        "least_rows": MIN_ROWS,
        "level": LEVEL,
        "checks": {name: check._asdict() for name, check in CHECKS.items()},
        "summary": {kind: _counted([one for one in findings if one.kind == kind]) for kind in KINDS},
        "findings": [finding.to_json() for finding in findings],
        "details": {kind: details for kind, (_, details) in parts.items()},
    }


def _counted(findings: Sequence[Finding]) -> dict[str, int]:
    return {verdict: sum(one.verdict == verdict for one in findings) for verdict in ("found", "unsure", "absent")}


def diagnose_run(
    run: Path, data: Dataset, ablated: Sequence[Path] = (), subsets: Sequence[str] | None = None
) -> dict[str, Any]:
    """Diagnose RUN; write RUN/diagnosis.json atomically.

    An existing diagnosis of the same answers, data, arguments and code is read and not computed again. Raises Fault for
    other data, ids that do not match, ablated runs that differ in more than the ablation, and two ablated runs of the
    same ablation with a task in common.
    """
    described = run_json(run)
    names = chosen_subsets(run, described, data, subsets)
    copied = {name: described.get(name) for name in COPIED}
    files = [one / "predictions" / f"{name}.jsonl" for one in (run, *ablated) for name in names]
    made = made_of(files, told=copied, data=data.hash, ablated=[(path, run_json(path)) for path in ablated])
    found = standing(run / FILE, made)
    if found is not None:
        say(f"{run / FILE}: up to date.")
        return found
    tasks = answered_tasks(run, described, data, subsets)
    others = _ablated(run, described, data, ablated, subsets)
    with progress("diagnose", len(KINDS)) as advance:
        found = copied | diagnose(tasks, others, advance=advance)
    found["not_measured"] = not_measured(run, described, tasks, others)
    found[KEY] = made
    write_text(run / FILE, json.dumps(found, ensure_ascii=False, allow_nan=False, indent=1) + "\n")
    return found


def _ablated(
    run: Path, described: dict[str, Any], data: Dataset, others: Sequence[Path], subsets: Sequence[str] | None
) -> dict[str, list[Answered]]:
    """{ablation: the tasks of its runs}. Raises Fault for a task that two runs of the same ablation answer."""
    found: dict[str, list[Answered]] = {}
    for other in others:
        ablated = run_json(other)
        ablation = require_same(run, described, other, ablated)
        wanted = set(described["subsets"] if subsets is None else subsets)
        common = [name for name in ablated["subsets"] if name in wanted]
        tasks = answered_tasks(other, ablated, data, common)
        known = {one.name for one in found.get(ablation, ())}
        if twice := [one.name for one in tasks if one.name in known]:
            raise Fault(f"{other}: another {ablation} run already has {twice[0]}. Give only one of the two.")
        found.setdefault(ablation, []).extend(tasks)
    return found
