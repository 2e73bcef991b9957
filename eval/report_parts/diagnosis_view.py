"""diagnosis.json for a reader: whatever in it is a finding with a sentence, by kind, and the rest as it stands."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from markupsafe import Markup

from eval.report_parts.tables import interval, number

_VERDICTS = {"unsure": "that the rows cannot settle", "absent": "not found"}
SHOWN = 10  # findings of a kind that are open on the page
MOST = 300  # findings that are folded away under each verdict, and lines of a list
DEPTH = 5  # levels of the rest that are opened out


class Told(NamedTuple):
    """One finding: its verdict ("" where it gives none), sentence, and number with interval and threshold."""

    verdict: str
    sentence: str
    numbers: str


class Kind(NamedTuple):
    """Findings of one kind: those on the page, and the rest folded away under a heading each."""

    name: str
    shown: list[Told]
    folded: list[tuple[str, list[Told]]]


class View(NamedTuple):
    """Findings by kind, and everything else as nested text."""

    kinds: list[Kind]
    rest: Markup


def view(diagnosis: Any) -> View:
    """Read diagnosis.json without knowing its keys: an object with a "sentence" is a finding wherever it stands."""
    kinds: dict[str, list[Told]] = {}
    for found in _findings(diagnosis):
        kinds.setdefault(str(found.get("kind", "findings")).replace("_", " "), []).append(_told(found))
    return View([_kind(name, told) for name, told in kinds.items()], _rest(diagnosis))


def _kind(name: str, told: list[Told]) -> Kind:
    """What was found (or has no verdict) stands first; a finding that is folded away is one click off."""
    grave = [one for one in told if one.verdict not in _VERDICTS]
    folded = [("more of these", grave[SHOWN:])]
    folded += [(said, [one for one in told if one.verdict == verdict]) for verdict, said in _VERDICTS.items()]
    return Kind(name, grave[:SHOWN], [(f"{len(rows)} {said}", rows[:MOST]) for said, rows in folded if rows])


def _findings(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        if isinstance(value.get("sentence"), str):
            yield value
        for one in value.values():
            yield from _findings(one)
    elif isinstance(value, list):
        for one in value:
            yield from _findings(one)


def _told(found: Mapping[str, Any]) -> Told:
    parts = []
    value, ends, threshold = found.get("value"), found.get("ci95"), found.get("threshold")
    if isinstance(value, int | float):
        parts.append(number(value) + (interval(ends) if isinstance(ends, list) and len(ends) == 2 else ""))
    if isinstance(threshold, int | float):
        parts.append(f"threshold {found.get('side', '')} {threshold:g}".replace("  ", " "))
    if isinstance(found.get("n"), int):
        parts.append(f"n {found['n']}")
    return Told(str(found.get("verdict", "")), found["sentence"], ", ".join(parts))


def _rest(value: Any, depth: int = 0) -> Markup:
    """Nested text of what is no finding; long lists are cut, with a word on what is left out."""
    if isinstance(value, Mapping):
        if isinstance(value.get("sentence"), str):
            return Markup("")
        return _object(value, depth)
    if isinstance(value, list):
        if not any(isinstance(one, Mapping | list) for one in value):
            return Markup('<p dir="auto">{}</p>').format(_listed(value))
        shown = [_rest(one, depth + 1) for one in value[:MOST]] if depth < DEPTH else []
        return Markup("").join(shown)
    return Markup('<p dir="auto">{}</p>').format(_scalar(value))


def _object(value: Mapping[str, Any], depth: int) -> Markup:
    facts, nested = Markup(""), Markup("")
    for name, one in value.items():
        if isinstance(one, Mapping) or (isinstance(one, list) and any(isinstance(x, Mapping | list) for x in one)):
            inner = _rest(one, depth + 1) if depth < DEPTH else Markup("")
            if inner:
                nested += Markup("<details><summary>{}</summary>{}</details>").format(name, inner)
        else:
            text = _listed(one) if isinstance(one, list) else _scalar(one)
            facts += Markup('<dt>{}</dt><dd dir="auto">{}</dd>').format(name, text)
    return (Markup('<dl class="facts">{}</dl>').format(facts) if facts else Markup("")) + nested


def _listed(values: list[Any]) -> str:
    more = f" … ({len(values)} in all)" if len(values) > 20 else ""
    return ", ".join(map(_scalar, values[:20])) + more


def _scalar(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "–" if value is None else str(value)[:600]
