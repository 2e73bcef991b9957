"""A comparison for a person: tables and sentences, on the terminal and as Markdown."""

from collections.abc import Mapping
from typing import Any

from eval.score.figure import DASH, unparsed_text
from eval.tables import Section, fraction, interval_text

LEVEL = 0.05  # of the corrected p-values
_HEADS = ("A", "B", "B - A", "95% interval", "p", "p (Holm)", "unparsed A", "unparsed B")
BIAS_SHOWN = 0.005  # a bias of the resamples at least this large is reported


def tables(found: Mapping[str, Any]) -> tuple[list[Section], list[str]]:
    """A table of tasks and languages, each with its test, tables of means, and sentences about them."""
    heads = ("subset", "task", "language", "metric", *_HEADS, "n", "changed", "fixed", "broken")
    units = Section(
        f"B against A, {found['mode']} mode, {found['tests']} tests", heads, [_unit(one) for one in found["units"]]
    )
    means = Section(
        f"Means, {found['tests_of_means']} tests, the averages over languages included",
        ("over", "group", "metric", *_HEADS, "of", "missing"),
        [_mean(one) for one in found["aggregates"]],
    )
    sections = [units, means]
    if rows := [_macro(name, one) for name, one in found["macro_over_languages"].items() if "refused" not in one]:
        sections.append(Section("Macro average over languages", means.heads[1:-1], rows))
    return sections, _sentences(found)


def _scores(one: Mapping[str, Any]) -> tuple[str, ...]:
    """The cells of _HEADS. A run without a figure gets a dash, and so do the difference and its test."""
    reasons = one.get("withheld", {})
    values = (fraction(None if side in reasons else one[side]) for side in "ab")
    difference = (fraction(one["difference"], signed=True), interval_text(one["ci95"], signed=True), *_p(one))
    shares = (unparsed_text(one["unparsed"][side], one["n"]) for side in "ab")
    return (*values, *(len(difference) * (DASH,) if reasons else difference), *shares)


def _unit(one: Mapping[str, Any]) -> tuple[str, ...]:
    counts = (str(one[name]) for name in ("n", "changed", "fixed", "broken"))
    return (one["subset"], one["task"], one["language"] or "", one["metric"], *_scores(one), *counts)


def _mean(one: Mapping[str, Any]) -> tuple[str, ...]:
    missing = ", ".join(one["missing"])
    return (one["over"], one["group"], one["metric"], *_scores(one), str(len(one["of"])), missing or DASH)


def _macro(name: str, one: Mapping[str, Any]) -> tuple[str, ...]:
    return (name, one["metric"], *_scores(one), str(len(one["of"])))


def _p(one: Mapping[str, Any]) -> tuple[str, str]:
    p, corrected = (DASH if one[name] is None else f"{one[name]:.4f}" for name in ("p", "p_holm"))
    return p, corrected


def _sentences(found: Mapping[str, Any]) -> list[str]:
    sure = [one for one in found["units"] if one["p_holm"] is not None and one["p_holm"] < LEVEL]
    better, worse = ([one for one in sure if sign * (one["difference"] or 0) > 0] for sign in (1, -1))
    said = [
        f"Of {found['tests']} tests B is better in {len(better)} and worse in {len(worse)} at p < {LEVEL} after Holm's "
        f"correction; in the other {found['tests'] - len(better) - len(worse)} no difference was found.",
        "In fixed and broken, an answer is right if its label set or class is exact, or its number is off by at most "
        "5% of the scale's width.",
    ]
    said += _of_few_rows(found)
    said += [
        f"{one['subset']} {one['task']}, {side.upper()}: {reason}. This task is not tested, and no mean includes it."
        for one in found["units"]
        for side, reason in one["withheld"].items()
    ]
    said += [one["refused"] for one in found["macro_over_languages"].values() if "refused" in one]
    return said + [f"note: {note}" for note in found.get("notes", ())]


def _of_few_rows(found: Mapping[str, Any]) -> list[str]:
    """A warning that resamples of few rows are biased, if the bias is visible."""
    means = [*found["aggregates"], *(one for one in found["macro_over_languages"].values() if "refused" not in one)]
    bias = max((one["bias"] or 0.0 for one in means), key=abs, default=0.0)
    tested = [one for one in found["units"] if one["ci95"] and None not in (one["p"], one["difference"])]
    within = [one["ci95"][0] - 1e-9 <= one["difference"] <= one["ci95"][1] + 1e-9 for one in tested]
    if abs(bias) < BIAS_SHOWN and all(within):
        return []
    return [
        "A resample of few rows can lack a class, which macro F1 counts as 0. So differences in resamples are nearer "
        f"to 0 than in the rows themselves: in a mean by up to {abs(bias):.3f}; {within.count(False)} of {len(within)} "
        "differences are outside of their intervals. The means' intervals and p are corrected for this bias."
    ]
