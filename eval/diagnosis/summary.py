"""Show a diagnosis as tables and sentences, on the terminal and as Markdown."""

from collections.abc import Mapping
from typing import Any

from eval.diagnosis.finding import CHECKS, KINDS
from eval.score.groups import ROW
from eval.tables import Section, fraction, interval_text

_PER_PART = {
    "kept",
    "script_kept",
    "language_lift",
    "language_unparsed",
    "foreign_prose",
}  # up to 27 rows each, so only those with the verdict "found" are shown

_NAMED = 4  # the last lines list at most this many tasks


def summary(found: Mapping[str, Any]) -> tuple[list[Section], list[str]]:
    """Tables of the verdicts by kind, of every check of a whole task and of the languages with a fault; then sentences.

    The last sentences summarize what was found, one for each kind.
    """
    kinds = [(kind, *(str(found["summary"][kind][name]) for name in ("found", "unsure", "absent"))) for kind in KINDS]
    shown = [one for one in found["findings"] if one["check"] not in _PER_PART or one["verdict"] == "found"]
    sections = [
        Section("Failures the paper names, and prompt dependence", ("kind", "found", "unsure", "absent"), kinds)
    ]
    for kind in KINDS:
        if rows := [_row(one) for one in shown if one["kind"] == kind]:
            heads = ("subset", "task", "part", "check", "value", "95% interval", "threshold", "n", "verdict")
            sections.append(Section(kind.replace("_", " "), heads, rows))
    sentences = [f"found: {one['sentence']}" for one in shown if one["verdict"] == "found"]
    sentences += [f"not measured: {one['sentence']}" for one in found["not_measured"]]
    if unsure := sum(one["verdict"] == "unsure" for one in found["findings"]):
        sentences.append(f"{unsure} checks are unsure: the interval contains the threshold, p is too large, or "
                         "there are too few rows.")  # fmt: skip
    if groups := [f"{name} by {unit}" for name, unit in found.get("units", {}).items() if unit != ROW]:
        sentences.append(f"intervals resample groups, except those of shares of unparsed answers: {', '.join(groups)}.")
    in_short = [
        "In short, of the failures that the paper names, and of prompt dependence (diagnosis.json has every check):"
    ]
    return sections, [*sentences, *in_short, *(_in_short(kind, found) for kind in KINDS)]


def _in_short(kind: str, found: Mapping[str, Any]) -> str:
    """One line for a kind of failure: where it was found, in how many checks, and how many checks are unsure."""
    checks = [one for one in found["findings"] if one["kind"] == kind]
    faults = [one for one in checks if one["verdict"] == "found"]
    unsure = sum(one["verdict"] == "unsure" for one in checks)
    name = kind.replace("_", " ")
    if not checks:
        return f"{name}: not measured"
    if not faults:
        return f"{name}: {'unsure' if unsure == len(checks) else 'not found'}, {len(checks)} checks, {unsure} unsure"
    where = list(dict.fromkeys(f"{one['subset']} {one['task']}" for one in faults))
    more = f" and {len(where) - _NAMED} more" if len(where) > _NAMED else ""
    return f"{name}: FOUND in {', '.join(where[:_NAMED])}{more}, {len(faults)} of {len(checks)} checks, {unsure} unsure"


def _row(one: Mapping[str, Any]) -> tuple[str, ...]:
    sign = ">" if CHECKS[one["check"]].side == "above" else "<"
    return (
        one["subset"], one["task"], one["part"], one["check"], fraction(one["value"]), interval_text(one["ci95"]),
        f"{sign} {one['threshold']:g}", str(one["n"]), one["verdict"],
    )  # fmt: skip
