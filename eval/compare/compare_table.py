"""A comparison for a person: tables and sentences, on the terminal and as Markdown."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.score.figure import DASH, unparsed_text
from eval.score.paired import holm
from eval.tables import Section, fraction, interval_text

LEVEL = 0.05  # of the corrected p-values
_HEADS = ("A", "B", "B - A", "95% interval", "p", "p (Holm)", "unparsed A", "unparsed B")
BIAS_SHOWN = 0.005  # a bias of the resamples at least this large is reported


def tables_of_each(found: Sequence[Mapping[str, Any]]) -> tuple[list[Section], list[str]]:
    """tables() of one comparison; of several with the same A, one set of tables with a row for each run.

    The p-values of several are corrected for the tests of all of them: comparing more runs finds more differences.
    """
    if len(found) == 1:
        return tables(found[0])
    corrected = _corrected_together(found)
    names = _names(corrected)
    each = [tables(one) for one in corrected]
    titles = list(dict.fromkeys(_kind(section) for sections, _ in each for section in sections))
    merged = [
        _merged([(name, section) for name, (sections, _) in zip(names, each, strict=True) for section in sections
                 if _kind(section) == title], title)
        for title in titles
    ]  # fmt: skip
    of_all = [one for one in each[0][1] if all(one in sentences for _, sentences in each)]
    said = [
        f"{name}: {sentence}"
        for name, (_, sentences) in zip(names, each, strict=True)
        for sentence in sentences
        if sentence not in of_all
    ]
    tests = sum(one["tests"] for one in corrected)
    return merged, [f"p (Holm) is corrected for the {tests} tests of all {len(found)} runs together.", *of_all, *said]


def verdicts(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """The sentences of tables_of_each() that answer the question, one for each run B: what to read first."""
    if len(found) == 1:
        return [_verdict(found[0])]
    corrected = _corrected_together(found)
    return [f"{name}: {_verdict(one)}" for name, one in zip(_names(corrected), corrected, strict=True)]


def _kind(section: Section) -> str:
    """The title of a section without the number of tests, which differs from run to run."""
    return section.title.partition(",")[0]


def _names(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """The folder names of the runs B; whole paths if two are equal."""
    paths = [Path(one["b"]["run"]) for one in found]
    names = [path.name for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def _merged(parts: Sequence[tuple[str, Section]], title: str) -> Section:
    """The rows of one table of several comparisons: those of the same task follow one another."""
    width = parts[0][1].heads.index("metric") + 1
    order: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for name, section in parts:
        for row in section.rows:
            order.setdefault(row[:width], []).append((*row[:width], name, *row[width:]))
    heads = parts[0][1].heads
    rows = [row for rows in order.values() for row in rows]
    return Section(title, (*heads[:width], "run B", *heads[width:]), rows)


def _corrected_together(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Copies of the comparisons with p_holm corrected for the tests of all; units and means apart, as in compare()."""
    copies = [dict(one) for one in found]
    for one in copies:
        one["units"] = [dict(row) for row in one["units"]]
        one["aggregates"] = [dict(row) for row in one["aggregates"]]
        one["macro_over_languages"] = {name: dict(row) for name, row in one["macro_over_languages"].items()}
    for rows in ([row for one in copies for row in one["units"]], [row for one in copies for row in _means_of(one)]):
        tested = [row for row in rows if row["p"] is not None]
        for row, p in zip(tested, holm([row["p"] for row in tested]), strict=True):
            row["p_holm"] = p
    return copies


def _means_of(found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield from found["aggregates"]
    yield from (one for one in found["macro_over_languages"].values() if "refused" not in one)


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


def _verdict(found: Mapping[str, Any]) -> str:
    sure = [one for one in found["units"] if one["p_holm"] is not None and one["p_holm"] < LEVEL]
    better, worse = ([one for one in sure if sign * (one["difference"] or 0) > 0] for sign in (1, -1))
    return (
        f"Of {found['tests']} tests B is better in {len(better)} and worse in {len(worse)} at p < {LEVEL} after Holm's "
        f"correction; in the other {found['tests'] - len(better) - len(worse)} no difference was found."
    )


def _sentences(found: Mapping[str, Any]) -> list[str]:
    said = [
        _verdict(found),
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
