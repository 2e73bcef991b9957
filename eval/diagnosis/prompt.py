"""Prompt dependence: what changes when the labels are in another order, the instruction follows the text, or the
instruction has another wording.

The answers come from `mmaffben predict --ablation prompt` on the same checkpoint and records; every interval is paired.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from eval.ask.variants import PROMPTS, variant
from eval.diagnosis.finding import Finding, share
from eval.diagnosis.modality import changes, require_records
from eval.score.answered import Answered
from eval.score.bootstrap import RESAMPLES, distribution, interval
from eval.score.figure import withheld
from eval.score.groups import groups_of
from eval.score.metrics import Floats
from eval.score.paired import distinct, scorer, seed_of


def dependence(
    tasks: Sequence[Answered], ablated: Mapping[str, Sequence[Answered]], resamples: int = RESAMPLES
) -> tuple[list[Finding], list[dict[str, Any]]]:
    """Two findings for each task and form of its prompt, and one detail for each task.

    ablated: {form: the tasks of its runs}.
    """
    findings, details = [], []
    for one in tasks:
        forms = {
            name: other
            for name in PROMPTS
            for other in ablated.get(name, ())
            if other.name == one.name and variant(one.task, name)
        }
        if forms:
            found, detail = _of_task(one, forms, resamples)
            findings += found
            details.append(detail)
    return findings, details


def _of_task(one: Answered, forms: Mapping[str, Answered], resamples: int) -> tuple[list[Finding], dict[str, Any]]:
    findings, changed, rows = list[Finding](), dict[str, Any](), len(one.records)
    for name, other in forms.items():
        require_records(one, other, name)
    drawn = _scores(one, forms, resamples)
    for name, other in forms.items():
        moved = changes(one, other)
        value, ends = share(int(moved.sum()), rows, seed_of("prompt", one.name, name), resamples)
        said = f"{one.name}: with {PROMPTS[name]}, {moved.mean():.1%} of the answers change."
        findings.append(Finding("moved", one.task.subset, one.task.key, name, value, ends, rows, said))
        findings.append(_shifted(one, name, drawn, rows))
        changed[name] = {"value": value, "ci95": ends}
    spread = np.ptp(np.array([*drawn.values()]), axis=0) if drawn else np.array([])
    detail = {
        "subset": one.task.subset, "task": one.task.key, "n": rows, "metric": one.task.main_metric, "changed": changed,
        "scores": {name: float(values[0]) for name, values in drawn.items()},
        "spread": float(spread[0]) if len(spread) else None,
        "spread_ci95": interval(spread[1:]) if len(spread) else None,
    }  # fmt: skip
    return findings, detail


def _scores(one: Answered, forms: Mapping[str, Answered], resamples: int) -> dict[str, Floats]:
    """{"none" or a form: main metric, [1 + resamples]}: its value on the rows, then on resamples that all forms share.

    A form whose score is withheld (most answers are unparsed) is left out; {} when the run's own score is withheld.
    """
    runs = {"none": one, **forms}
    runs = {name: of for name, of in runs.items() if not withheld(of.task, of.read, of.emotions)}
    if "none" not in runs:
        return {}
    groups, answers = groups_of(one.records), [of.read.prediction for of in runs.values()]
    rows = distinct(one.read.gold, answers, one.emotions, groups)
    metric, found = one.task.main_metric, dict[str, Floats]()
    for name, each in zip(runs, rows.predictions, strict=True):
        measure = scorer(one.task, "strict", rows.gold, each, rows.emotions)
        drawn = distribution(measure, rows.counts, resamples, seed_of("prompt", one.name), rows.members)[metric]
        found[name] = np.concatenate([measure(rows.counts[None, :])[metric], drawn])
    return found


def _shifted(one: Answered, name: str, drawn: Mapping[str, Floats], rows: int) -> Finding:
    """The absolute change of the main metric; value and interval are None when a score is withheld."""
    metric, data = one.task.main_metric, dict[str, Any]()
    value = ends = None
    said = f"{one.name}, {PROMPTS[name]}: most answers are unparsed, so its {metric} is not compared."
    if name in drawn:
        moved = drawn[name] - drawn["none"]
        value, both = abs(float(moved[0])), interval(moved[1:])
        if both is not None:  # the interval of the absolute change: it begins at 0 when the change may be 0
            low, high = both
            ends = [max(0.0, low, -high), max(-low, high)]
        data = {"metric": metric, "benchmark": float(drawn["none"][0]), "form": float(drawn[name][0])}
        said = f"{one.name}: with {PROMPTS[name]}, {metric} goes from {data['benchmark']:.3f} to {data['form']:.3f}."
    return Finding("shifted", one.task.subset, one.task.key, name, value, ends, rows, said, data)
