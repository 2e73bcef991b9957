"""The pictures of the data set card: the distributions of labels and numbers, in one or more panels per subset.

They are plain SVG files that load nothing. The card links to them by relative paths, so that they show on the hub as
well as in the folder. The same records give the same bytes.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
from markupsafe import Markup

from mmafflm.benchmark.benchmark import Subset, benchmark
from mmafflm.benchmark.grammar import Grammar, Labels, Ordinal
from mmafflm.dataset import split_file
from mmafflm.records import write_text
from mmafflm.svg import document, line, moved, path, text

FIGURES = "figures"  # below DATA
BINS = 20
COLORS = {"train": "#0072b2", "val": "#e69f00", "test": "#009e73"}
STYLE = (
    "text{font:11px system-ui,'DejaVu Sans',sans-serif;fill:#1b1f24}.end{text-anchor:end}.middle{text-anchor:middle}"
    ".head{font-weight:bold}.axis{stroke:#d0d7de}.curve{fill:none;stroke-width:1.4}.paper{fill:#fff}"
    + "".join(f".{split}{{fill:{color}}}.curve.{split}{{fill:none;stroke:{color}}}" for split, color in COLORS.items())
)
_COLUMNS, _WIDTH, _GAP = 3, 300.0, 16.0  # panels side by side; a panel's width and the gap between panels, in pixels
_NAME, _BAR, _THIN = 118.0, 104.0, 4.0  # of a label's row, in pixels: width of the name, longest bar, height of a bar
_PLOT = 76.0  # height of a histogram in pixels


class CardPicture(NamedTuple):
    """A picture of the card: its path below DATA, and a title that says what it shows."""

    file: str
    about: str


class Panel(NamedTuple):
    """A part of a picture, _WIDTH wide."""

    height: float
    body: list[Markup]


def write_figures(data: Path, manifest: dict[str, Any]) -> list[CardPicture]:
    """Write the pictures into DATA/figures, remove those of an earlier build, and return them in the card's order.

    Labels come from the manifest; numbers are read from the records.
    """
    groups: dict[tuple[str, str], list[Panel]] = {}
    for name, of in manifest["subsets"].items():
        subset = benchmark()[name]
        if any(about["labels"] for about in of.values()):
            groups.setdefault((subset.modality, "labels"), []).append(_labels(name, of, len(subset.tasks) > 1))
        for panel in _numbers(data, subset, of):
            groups.setdefault((subset.modality, "numbers"), []).append(panel)
    found = []
    for modality in ("text", "image", "video"):
        for kind in ("labels", "numbers"):
            if panels := groups.get((modality, kind)):
                about = f"{kind.capitalize()} of the {modality} subsets: share of each split's rows"
                found.append(CardPicture(f"{FIGURES}/{modality}_{kind}.svg", about))
                write_text(data / found[-1].file, _document(about, panels))
    kept = {one.file for one in found}
    for file in (data / FIGURES).glob("*.svg"):
        if file.relative_to(data).as_posix() not in kept:
            file.unlink()
    return found


def _document(title: str, panels: list[Panel]) -> str:
    """Arrange the panels in columns under a legend; each panel goes into the shortest column so far."""
    bottoms = [34.0] * _COLUMNS
    body = [
        part
        for at, split in enumerate(COLORS)
        for part in (path(split, f"M{_GAP + 70 * at:g} 12h10v8h-10z"), text(_GAP + 14 + 70 * at, 20, split))
    ]
    for panel in panels:
        column = bottoms.index(min(bottoms))
        body.append(moved(_GAP + column * (_WIDTH + _GAP), bottoms[column], panel.body))
        bottoms[column] += panel.height + _GAP
    return document(_GAP + _COLUMNS * (_WIDTH + _GAP), max(bottoms), title, STYLE, body)


def _labels(name: str, of: dict[str, Any], has_several_tasks: bool) -> Panel:
    """A row for each label, the most frequent first, with a bar for each split."""
    # only one of a subset's several tasks has labels, and the manifest does not say how many rows that task has
    rows = {split: sum(about["labels"].values()) if has_several_tasks else about["rows"] for split, about in of.items()}
    shares = {
        split: {label: count / rows[split] for label, count in about["labels"].items()}
        for split, about in of.items()
        if about["labels"]
    }
    order = sorted({label for of in shares.values() for label in of}, key=lambda label: (-_most(shares, label), label))
    most = max(_most(shares, label) for label in order)
    lane = _THIN * len(shares) + 6
    unit = "share of labels" if has_several_tasks else "share of rows"
    body = [text(0, 11, name, "head"), text(_WIDTH, 11, unit, "end")]
    for at, label in enumerate(order):
        y = 18 + lane * at
        body.append(text(_NAME - 4, y + lane / 2 + 1, label, "end"))
        for place, (split, share) in enumerate(shares.items()):
            long = _BAR * share.get(label, 0) / most
            body.append(path(split, f"M{_NAME:g} {y + _THIN * place:.4g}h{long:.4g}v{_THIN - 1:g}h{-long:.4g}z"))
        said = " / ".join(f"{100 * share.get(label, 0):.0f}" for share in shares.values())
        body.append(text(_WIDTH, y + lane / 2 + 1, f"{said}%", "end"))
    return Panel(18 + lane * len(order), body)


def _most(shares: dict[str, dict[str, float]], label: str) -> float:
    return max(share.get(label, 0.0) for share in shares.values())


def _numbers(data: Path, subset: Subset, of: Iterable[str]) -> Iterator[Panel]:
    """A panel for each task, emotion and dimension whose gold is a number."""
    if all(isinstance(task.grammar, Labels) for task in subset.tasks):
        return
    found: dict[str, dict[str, Counter[float]]] = {}
    grammars: dict[str, Grammar] = {}
    for split in of:
        with (data / split_file(subset.name, split)).open("rb") as lines:
            for row in map(orjson.loads, lines):
                if isinstance(gold := row["gold"], list):
                    continue
                for name, value in (gold if isinstance(gold, dict) else {row.get("emotion") or "": gold}).items():
                    title = f"{row['task'].removeprefix('emotion_').replace('_', ' ')} {name}".strip()
                    found.setdefault(title, {}).setdefault(split, Counter())[float(value)] += 1
                    grammars[title] = subset.task(row["task"]).grammar
    for title, splits in found.items():
        yield _histogram(subset.name, title, grammars[title], splits)


def _histogram(name: str, title: str, grammar: Grammar, splits: dict[str, Counter[float]]) -> Panel:
    """Draw each split's shares as a stepped line over the whole scale."""
    assert not isinstance(grammar, Labels)
    whole = isinstance(grammar, Ordinal)
    edges = (
        np.arange(grammar.low, grammar.high + 2) - 0.5 if whole else np.linspace(grammar.low, grammar.high, BINS + 1)
    )
    shares = {
        split: np.histogram(list(values), edges, weights=list(values.values()))[0] / values.total()
        for split, values in splits.items()
    }
    most = max(float(share.max()) for share in shares.values())
    bottom, step = 34.0 + _PLOT, (_WIDTH - 40) / (len(edges) - 1)
    body = [text(0, 11, name, "head"), text(0, 26, title), text(_WIDTH, 26, f"to {most:.0%}", "end")]
    body.append(line("axis", 40, bottom, _WIDTH, bottom))
    for split, share in shares.items():
        body.append(path(f"curve {split}", _steps(share.tolist(), 40, bottom, step, _PLOT / most)))
    marked = edges[:-1] + 0.5 if whole else [grammar.low, (grammar.low + grammar.high) / 2, grammar.high]
    for value in map(float, marked):
        x = 40 + step * (value - edges[0]) / (edges[1] - edges[0])
        body.append(text(x, bottom + 13, f"{value:g}", "middle" if value < edges[-1] else "end"))
    return Panel(bottom + 16, body)


def _steps(shares: Sequence[float], left: float, bottom: float, step: float, tall: float) -> str:
    drawn = "".join(f"V{bottom - tall * share:.5g}h{step:.5g}" for share in shares)
    return f"M{left:g} {bottom:g}{drawn}V{bottom:g}"
