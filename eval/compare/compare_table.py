"""Show a comparison as tables and sentences, on the terminal and as Markdown."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.compare.compare import correct, means_of
from eval.score.figure import DASH, unparsed_text
from eval.score.groups import ROW
from eval.tables import Section, fraction, interval_text

LEVEL = 0.05  # of the corrected p-values
_HEADS = ("A", "B", "B - A", "95% interval", "p", "p (Holm)", "unparsed A", "unparsed B")
TOO_FEW = "too few rows for a test"


def tables_of_each(found: Sequence[Mapping[str, Any]]) -> tuple[list[Section], list[str]]:
    """tables() of one comparison; for several comparisons with the same A, one set of tables with a row for each run B.

    The p-values are corrected for the tests of all comparisons, because more comparisons find more differences by
    chance.
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
    """The sentences of tables_of_each() that tell whether B is better, one for each run B; they are shown first."""
    if len(found) == 1:
        return [_verdict(found[0])]
    corrected = _corrected_together(found)
    return [f"{name}: {_verdict(one)}" for name, one in zip(_names(corrected), corrected, strict=True)]


def _kind(section: Section) -> str:
    """The title of a section without the number of tests, which differs from run to run."""
    return section.title.partition(",")[0]


def _names(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """The folder names of the runs B; their whole paths if two names are equal."""
    paths = [Path(one["b"]["run"]) for one in found]
    names = [path.name for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def _merged(parts: Sequence[tuple[str, Section]], title: str) -> Section:
    """One table with the rows of several comparisons; the rows of the same task are next to each other."""
    width = parts[0][1].heads.index("metric") + 1
    order: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for name, section in parts:
        for row in section.rows:
            order.setdefault(row[:width], []).append((*row[:width], name, *row[width:]))
    heads = parts[0][1].heads
    rows = [row for rows in order.values() for row in rows]
    return Section(title, (*heads[:width], "run B", *heads[width:]), rows)


def _corrected_together(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Copies of the comparisons with p_holm corrected for the tests of all of them.

    Units and means are corrected separately, as in compare().
    """
    copies = [dict(one) for one in found]
    for one in copies:
        one["units"] = [dict(row) for row in one["units"]]
        one["aggregates"] = [dict(row) for row in one["aggregates"]]
        one["macro_over_languages"] = {name: dict(row) for name, row in one["macro_over_languages"].items()}
    correct([row for one in copies for row in one["units"]])
    correct([row for one in copies for row in means_of(one)])
    return copies


def tables(found: Mapping[str, Any]) -> tuple[list[Section], list[str]]:
    """A table of tasks and languages, each with its test, tables of means, and sentences about them."""
    heads = ("subset", "task", "language", "metric", *_HEADS, "n", "changed", "fixed", "broken")
    units = Section(
        f"B against A, {found['mode']} mode, {found['tests']} tests", heads, [_unit(one) for one in found["units"]]
    )
    means = Section(
        f"Means, {found['tests_of_means']} tests",
        ("over", "group", "metric", *_HEADS, "n", "of", "missing"),
        [_mean(one) for one in found["aggregates"]]
        + [_mean({"over": "languages", "group": name, "missing": [], **one})
           for name, one in found["macro_over_languages"].items() if "refused" not in one],
    )  # fmt: skip
    return [units, means], _sentences(found)


def _scores(one: Mapping[str, Any]) -> tuple[str, ...]:
    """The cells of _HEADS. A withheld score is shown as a dash, and so are the difference and its test."""
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
    return (
        one["over"],
        one["group"],
        one["metric"],
        *_scores(one),
        str(one["n"]),
        str(len(one["of"])),
        missing or DASH,
    )


def _p(one: Mapping[str, Any]) -> tuple[str, str]:
    if one["p"] is None:
        return (DASH if one["difference"] is None else TOO_FEW), DASH
    return f"{one['p']:.4f}", f"{one['p_holm']:.4f}"


def _verdict(found: Mapping[str, Any]) -> str:
    if not found["tests"]:
        return (
            f"Nothing was tested: a test needs {found['least_rows']} records of a task, and answers that were parsed."
        )
    sure = [one for one in found["units"] if one["p_holm"] is not None and one["p_holm"] < LEVEL]
    better, worse = ([one for one in sure if sign * (one["difference"] or 0) > 0] for sign in (1, -1))
    return (
        f"Of {found['tests']} tests B is better in {len(better)} and worse in {len(worse)} at p < {LEVEL} after Holm's "
        f"correction; in the other {found['tests'] - len(better) - len(worse)} no difference was found."
    )


def _swapped(units: Sequence[Mapping[str, Any]]) -> str:
    """The sentence that explains what a permutation swaps."""
    by_unit: dict[str, list[str]] = {}
    for one in units:
        if one["unit"] != ROW and one["language"] is None:
            by_unit.setdefault(one["unit"], []).append(f"{one['subset']} {one['task']}")
    whole = "".join(f"; in {', '.join(names)} a {unit} as a whole" for unit, names in by_unit.items())
    return f"p: permutation test, in which each row's two answers are swapped at random{whole}."


def _sentences(found: Mapping[str, Any]) -> list[str]:
    said = [
        _verdict(found),
        "In fixed and broken, an answer is right if its label set or class is exact, or its number is off by at most "
        "5% of the scale's width.",
    ]
    said.append(_swapped(found["units"]))
    if few := sum(one["n"] < found["least_rows"] for one in found["units"]):
        said.append(f"{few} rows of the table have fewer than {found['least_rows']} records, too few for a test.")
    said += [
        f"{one['subset']} {one['task']}, {side.upper()}: {reason}. This task is not tested, and no mean includes it."
        for one in found["units"]
        for side, reason in one["withheld"].items()
    ]
    said += [one["refused"] for one in found["macro_over_languages"].values() if "refused" in one]
    return said + [f"note: {note}" for note in found.get("notes", ())]
