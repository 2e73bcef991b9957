"""The first sentences about each run: how much was answered, what beats the majority, and what a diagnosis found."""

from collections.abc import Mapping
from typing import Any

from eval.report_parts.load import Run
from eval.report_parts.tables import cell, tasks_of
from mmafflm.benchmark import benchmark

NAMED = 6  # tasks that are listed by name


def glance(run: Run) -> list[str]:
    """Sentences, the plainest first; of strict scores."""
    subsets = run.scores["strict"]["subsets"]
    rows, unparsed = (sum(int(one[what]) for one in subsets.values()) for what in ("n", "unparsed"))
    return [
        f"{len(subsets)} of {len(benchmark())} subsets, {rows:,} rows; {unparsed / rows:.1%} of the answers could not "
        "be read and count as wrong.",
        _against_majority(run),
        _found(run.diagnosis),
    ]


def _against_majority(run: Run) -> str:
    """Whether the main metric of each task lies above what the most frequent answer scores, its whole interval."""
    tasks, low = 0, []
    for subset, task in tasks_of([run], "strict"):
        scored = run.scored(subset, task.key) or {}
        metric = task.main_metric
        majority, ends = scored.get("majority", {}).get(metric), cell(scored, metric).ends
        tasks += 1
        if majority is None or not ends or ends[0] <= majority:
            low.append(subset if len(benchmark()[subset].tasks) == 1 else f"{subset} {task.key}")
    said = f"Above the majority baseline with its whole interval in {tasks - len(low)} of {tasks} tasks"
    more = f" and {len(low) - NAMED} more" if len(low) > NAMED else ""
    return f"{said}; not in {', '.join(low[:NAMED])}{more}." if low else f"{said}."


def _found(diagnosis: Mapping[str, Any] | None) -> str:
    if diagnosis is None:
        return "Not diagnosed: mmaffben diagnose writes diagnosis.json, which this page then shows."
    kinds: dict[str, list[str]] = {}
    for one in diagnosis["findings"]:
        kinds.setdefault(one["kind"].replace("_", " "), []).append(one["verdict"])
    found = [f"{kind} ({verdicts.count('found')} of {len(verdicts)} checks)" for kind, verdicts in kinds.items()
             if "found" in verdicts]  # fmt: skip
    clear = [kind for kind, verdicts in kinds.items() if "found" not in verdicts]
    lacking = {one["kind"].replace("_", " ") for one in diagnosis.get("not_measured", ())} - set(kinds)
    parts = [f"found: {', '.join(found)}" if found else "", f"not found: {', '.join(clear)}" if clear else "",
             f"not measured: {', '.join(sorted(lacking))}" if lacking else ""]  # fmt: skip
    return f"Failures the paper names, {'; '.join(filter(None, parts)) or 'none looked for'}."
