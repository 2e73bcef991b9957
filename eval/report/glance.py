"""The first sentences about a run: tasks above the baselines, the share of parsed answers, and what diagnose found."""

from collections.abc import Mapping
from typing import Any

from eval.report.load import Run
from eval.report.tables import tasks_of
from eval.run.selection import Selection
from eval.score.baselines import beats_baselines
from mmafflm.benchmark.benchmark import benchmark

NAMED = 6  # the most tasks that are listed by name


def glance(run: Run) -> list[str]:
    """Three sentences about a run: tasks above the baselines, parsed answers, and the diagnosis."""
    subsets = run.scores["strict"]["subsets"]
    rows, unparsed = (sum(int(one[what]) for one in subsets.values()) for what in ("n", "unparsed"))
    asked = f"{len(subsets)} of {len(benchmark())} subsets, {rows:,} rows{Selection.of_run(run.described)}"
    return [
        _against_baselines(run),
        f"{asked}; {(rows - unparsed) / rows:.1%} of the answers could be parsed, the other {unparsed / rows:.1%} "
        "count as wrong.",
        _found(run.diagnosis),
    ]


def _against_baselines(run: Run) -> str:
    """A sentence on the tasks whose main metric has its whole interval above the strongest baseline."""
    tasks, low = 0, []
    for subset, task in tasks_of([run], "strict"):
        tasks += 1
        if not beats_baselines(task, run.scored(subset, task.key) or {}):
            low.append(subset if len(benchmark()[subset].tasks) == 1 else f"{subset} {task.key}")
    said = f"The main metric's whole interval lies above the strongest baseline in {tasks - len(low)} of {tasks} tasks"
    more = f" and {len(low) - NAMED} more" if len(low) > NAMED else ""
    return f"{said}; not in {', '.join(low[:NAMED])}{more}." if low else f"{said}."


def _found(diagnosis: Mapping[str, Any] | None) -> str:
    """A sentence with the verdict on each kind of failure.

    A kind is "found" if one of its checks is, otherwise "unsure" if more checks are unsure than absent, else "absent".
    """
    if diagnosis is None:
        return "Not diagnosed: mmaffben diagnose writes diagnosis.json, which this page then shows."
    kinds: dict[str, list[str]] = {}
    for one in diagnosis["findings"]:
        kinds.setdefault(one["kind"].replace("_", " "), []).append(one["verdict"])
    told: dict[str, list[str]] = {"absent": [], "unsure": [], "found": []}
    for kind, verdicts in kinds.items():
        most = max(("absent", "unsure"), key=verdicts.count)
        verdict = "found" if "found" in verdicts else most
        told[verdict].append(f"{kind} ({verdicts.count(verdict)} of {len(verdicts)} checks)")
    lacking = {one["kind"].replace("_", " ") for one in diagnosis.get("not_measured", ())} - set(kinds)
    parts = [f"{verdict}: {', '.join(named)}" for verdict, named in told.items() if named]
    parts += [f"not measured: {', '.join(sorted(lacking))}"] if lacking else []
    return f"Failures the paper names, {'; '.join(parts) or 'none looked for'}."
