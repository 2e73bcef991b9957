"""Results of `mmaffben compare` between the runs on the page, from the comparison.NAME.json in their folders."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from eval.compare.compare import SCHEMA
from eval.compare.compare_table import tables
from eval.report.load import Run, read_made
from eval.tables import Section

NEAR = 1e-6  # if a comparison's score differs by less from the run's score, both come from the same answers
LANGUAGE = 2  # the column of the language in the table of tests


class ComparisonPlace(NamedTuple):
    """A comparison of run B with run A.

    a, b: the runs' positions on the page. found: the file's content. stale: why it is not shown ("" if it is shown).
    """

    a: int
    b: int
    found: dict[str, Any]
    stale: str = ""


class ComparisonView(NamedTuple):
    """A comparison as shown on the page: sentences, open tables and folded tables."""

    a: int
    b: int
    sentences: list[str]
    shown: list[Section]
    folded: list[Section]


def comparisons(runs: Sequence[Run]) -> list[ComparisonPlace]:
    """The stored comparisons between any two of the runs. Raises Fault for a file that is not a JSON object."""
    return [
        ComparisonPlace(at, place, found, _stale(found, run, other))
        for place, other in enumerate(runs)
        for at, run in enumerate(runs)
        if at != place
        and isinstance(found := read_made(other.folder / f"comparison.{run.folder.resolve().name}.json"), dict)
    ]


def _stale(found: Mapping[str, Any], a: Run, b: Run) -> str:
    """Why a comparison does not match the runs' scores, or "" if it matches.

    The comparison may be older than the scores, or belong to another run with the same name.
    """
    if found.get("schema") != SCHEMA:
        return f"The comparison of {b.name} with {a.name} is left out: another version wrote it. Compare again."
    for one in found["units"]:
        for run, side in ((a, "a"), (b, "b")):
            scored = run.scored(one["subset"], one["task"], found["mode"]) if one["language"] is None else None
            value = (scored or {}).get("metrics", {}).get(one["metric"])
            if scored and scored["n"] == one["n"] and None not in (value, one[side]) and abs(value - one[side]) > NEAR:
                again = shlex.join(["mmaffben", "compare", str(a.folder), str(b.folder), "--data", "DATA"])
                return (
                    f"The comparison of {b.name} with {a.name} was not made from these scores ({one['subset']} "
                    f"{one['task']}) and is left out. Compare again: {again}"
                )
    return ""


def compared(one: ComparisonPlace) -> ComparisonView:
    """The comparison as shown on the page: tables of whole tasks and means are open, that of languages is folded."""
    (units, *means), sentences = tables(one.found)
    whole = units._replace(heads=_without(units.heads), rows=[_without(row) for row in units.rows if not row[LANGUAGE]])
    languages = units._replace(title="Languages", rows=[row for row in units.rows if row[LANGUAGE]])
    return ComparisonView(one.a, one.b, sentences, [whole, *means], [languages] if languages.rows else [])


def _without(row: tuple[str, ...]) -> tuple[str, ...]:
    return row[:LANGUAGE] + row[LANGUAGE + 1 :]
