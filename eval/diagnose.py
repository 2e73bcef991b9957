"""`mmaffben diagnose`: the failures that the paper names, each looked for with a number, an interval and a picture.

Intensity drift, language collapse, modality ignorance, label prior and format: one module each under eval/diagnosis/,
thresholds and why they stand where they do in eval/diagnosis/finding.py. Answers are read strictly.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.answered import Answered, answered_tasks
from eval.bootstrap import RESAMPLES, SEED
from eval.diagnosis.drift import drift
from eval.diagnosis.finding import CHECKS, KINDS, MIN_ROWS, Finding
from eval.diagnosis.languages import collapse
from eval.diagnosis.malformed import malformed
from eval.diagnosis.modality import ignorance, not_measured, require_same
from eval.diagnosis.prior import prior
from eval.join import run_json
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault
from mmafflm.records import write_text

SCHEMA = 1
FILE, PICTURES = "diagnosis.json", "diagnosis"


def diagnose(
    tasks: Sequence[Answered], ablated: Mapping[str, Sequence[Answered]] | None = None, resamples: int = RESAMPLES
) -> dict[str, Any]:
    """Findings, their summary by kind, and the details that the pictures show. Touches no disk.

    ablated: {ablation: the tasks of that run}, over the same records.
    """
    parts = {
        "intensity_drift": drift(tasks, resamples),
        "language_collapse": collapse(tasks, resamples),
        "modality_ignorance": ignorance(tasks, ablated or {}, resamples),
        "label_prior": prior(tasks, resamples),
        "format": malformed(tasks, resamples),
    }
    findings = [finding for found, _ in parts.values() for finding in found]
    return {
        "schema": SCHEMA,
        "mode": "strict",
        "resamples": resamples,
        "seed": SEED,
        "least_rows": MIN_ROWS,
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
    """Diagnose RUN; write RUN/diagnosis.json and the pictures under RUN/diagnosis/, each whole or not at all.

    Raises Fault for other data, ids that do not fit, and ablated runs that differ in more than the ablation.
    """
    from eval.diagnosis.pictures import draw_all  # matplotlib takes half a second; the help needs none

    described = run_json(run)
    tasks = answered_tasks(run, described, data, subsets)
    others = _ablated(run, described, data, ablated, subsets)
    found: dict[str, Any] = {
        name: described.get(name) for name in ("checkpoint", "engine", "readout", "ablation", "limit", "data_hash")
    } | diagnose(tasks, others)
    found["not_measured"] = not_measured(run, described, tasks, others)
    found["pictures"] = draw_all(run / PICTURES, found["details"])
    write_text(run / FILE, json.dumps(found, ensure_ascii=False, allow_nan=False, indent=1) + "\n")
    return found


def _ablated(
    run: Path, described: dict[str, Any], data: Dataset, others: Sequence[Path], subsets: Sequence[str] | None
) -> dict[str, list[Answered]]:
    """{ablation: the tasks of its runs}; a task that two runs of one ablation answer is a Fault."""
    found: dict[str, list[Answered]] = {}
    for other in others:
        ablated = run_json(other)
        ablation = require_same(run, described, other, ablated)
        wanted = set(described["subsets"] if subsets is None else subsets)
        common = [name for name in ablated["subsets"] if name in wanted]
        tasks = answered_tasks(other, ablated, data, common)
        known = {one.name for one in found.get(ablation, ())}
        if twice := [one.name for one in tasks if one.name in known]:
            raise Fault(f"{other}: {twice[0]} was given in another {ablation} run already. Give one of them.")
        found.setdefault(ablation, []).extend(tasks)
    return found
