"""A diagnosis for a person: tables and sentences, on the terminal and as Markdown."""

from collections.abc import Mapping
from typing import Any

from eval.diagnosis.finding import CHECKS, KINDS
from eval.tables import Section, fraction, interval_text

_PER_PART = {
    "kept",
    "script_kept",
    "language_lift",
    "language_unparsed",
    "foreign_prose",
}  # up to 27 rows each, so only those with the verdict "found" are shown


def summary(found: Mapping[str, Any]) -> tuple[list[Section], list[str]]:
    """Tables of the verdicts by kind, every check of a whole task, and the languages with a fault; then sentences."""
    kinds = [(kind, *(str(found["summary"][kind][name]) for name in ("found", "unsure", "absent"))) for kind in KINDS]
    shown = [one for one in found["findings"] if one["check"] not in _PER_PART or one["verdict"] == "found"]
    sections = [Section("Failures the paper names", ("kind", "found", "unsure", "absent"), kinds)]
    for kind in KINDS:
        if rows := [_row(one) for one in shown if one["kind"] == kind]:
            heads = ("subset", "task", "part", "check", "value", "95% interval", "threshold", "n", "verdict")
            sections.append(Section(kind.replace("_", " "), heads, rows))
    sentences = [f"found: {one['sentence']}" for one in shown if one["verdict"] == "found"]
    sentences += [f"not measured: {one['sentence']}" for one in found["not_measured"]]
    if unsure := sum(one["verdict"] == "unsure" for one in found["findings"]):
        sentences.append(f"{unsure} checks are unsure: the interval holds the threshold, or there are too few rows.")
    return sections, sentences


def _row(one: Mapping[str, Any]) -> tuple[str, ...]:
    sign = ">" if CHECKS[one["check"]].side == "above" else "<"
    return (
        one["subset"], one["task"], one["part"], one["check"], fraction(one["value"]), interval_text(one["ci95"]),
        f"{sign} {one['threshold']:g}", str(one["n"]), one["verdict"],
    )  # fmt: skip
