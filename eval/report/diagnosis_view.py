"""diagnosis.json as shown on the page: the findings, charts and reasons for the thresholds of each kind of failure."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from eval.report.diagnosis_figures import Drawing, drawings
from eval.report.tables import interval, number

_VERDICTS = {"unsure": "unsure: the rows neither show nor rule them out", "absent": "absent"}
SHOWN = 10  # the most open findings of a kind
MOST = 300  # the most folded findings under each heading
EXAMPLES, EXAMPLES_OF_SEVERAL = 10, 3  # the most examples of a kind of unparsed answer: with one run, with several runs
LONGEST = 160  # the most characters of such an example


class FindingView(NamedTuple):
    """One finding: its verdict ("" if it has none), its sentence, and its number with interval, threshold and rows."""

    verdict: str
    sentence: str
    numbers: str


class CheckView(NamedTuple):
    """One check: its name, what it measures, its threshold, and the reason for it."""

    check: str
    what: str
    threshold: str
    why: str


class Cluster(NamedTuple):
    """Unparsed answers of one kind on one task: a title, and (id, answer, the parser's reason) for some of them."""

    title: str
    examples: list[tuple[str, str, str]]


class FindingGroup(NamedTuple):
    """One kind of failure: its open findings, its folded findings under headings, its charts, checks and examples."""

    name: str
    counts: dict[str, int]
    shown: list[FindingView]
    folded: list[tuple[str, list[FindingView]]]
    drawings: list[Drawing]
    checks: list[CheckView]
    clusters: list[tuple[str, list[Cluster]]]


def view(diagnosis: Mapping[str, Any], run: int = 0, runs: int = 1) -> list[FindingGroup]:
    """The kinds of failure, in the diagnosis's order. run: the run's position among the `runs` on the page."""
    findings = [*diagnosis.get("findings", ()), *diagnosis.get("not_measured", ())]
    names = list(dict.fromkeys([*diagnosis.get("summary", ()), *(one["kind"] for one in findings)]))
    examples = EXAMPLES if runs == 1 else EXAMPLES_OF_SEVERAL
    return [_kind(diagnosis, name, findings, run, examples) for name in names]


def _kind(
    diagnosis: Mapping[str, Any], name: str, findings: Sequence[Mapping[str, Any]], run: int, most: int
) -> FindingGroup:
    """Show findings that are "found" or have no verdict first; fold the others."""
    told = [_told(one) for one in findings if one["kind"] == name]
    grave = [one for one in told if one.verdict not in _VERDICTS]
    folded = [("more found", grave[SHOWN:])]
    folded += [(said, [one for one in told if one.verdict == verdict]) for verdict, said in _VERDICTS.items()]
    checks = diagnosis.get("checks", {})
    details = diagnosis.get("details", {}).get(name, ())
    return FindingGroup(
        name.replace("_", " "),
        {verdict: sum(one.verdict == verdict for one in told) for verdict in ("absent", "unsure", "found")},
        grave[:SHOWN],
        [(f"{len(rows)} {said}", rows[:MOST]) for said, rows in folded if rows],
        drawings(name, details, checks, run),
        [_why(check, one) for check, one in checks.items() if one.get("kind") == name],
        [_clusters(one, most) for one in details] if name == "format" else [],
    )


def _told(found: Mapping[str, Any]) -> FindingView:
    parts = []
    value, ends, threshold = found.get("value"), found.get("ci95"), found.get("threshold")
    if isinstance(value, int | float):
        parts.append(number(value) + (interval(ends) if isinstance(ends, list) and len(ends) == 2 else ""))
    if isinstance(threshold, int | float):
        parts.append(f"threshold {found.get('side', '')} {threshold:g}".replace("  ", " "))
    if isinstance(found.get("n"), int):
        parts.append(f"n {found['n']}")
    return FindingView(str(found.get("verdict", "")), str(found["sentence"]), ", ".join(parts))


def _why(check: str, one: Mapping[str, Any]) -> CheckView:
    threshold = f"a fault {one.get('side', '')} {one.get('threshold', '')}"
    return CheckView(check.replace("_", " "), str(one.get("what", "")), threshold, str(one.get("why", "")))


def _clusters(one: Mapping[str, Any], most: int) -> tuple[str, list[Cluster]]:
    """The kinds of one task's unparsed answers, most frequent first."""
    clusters = [
        Cluster(
            f"{kind}: {of['rows']} rows, {of['share']:.1%}{interval(of['ci95'])}",
            [(row["id"], row["text"][:LONGEST], row["reason"]) for row in of["examples"][:most]],
        )
        for kind, of in one["kinds"].items()
    ]
    return f"{one['subset']} {one['task']}: {one['unparsed']} of {one['n']} answers", clusters
