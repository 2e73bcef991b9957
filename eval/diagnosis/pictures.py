"""The pictures of a diagnosis, drawn from diagnosis.json's own details: what is seen is what is written there.

Figures are made without pyplot (no display, no global state). Colours are Okabe and Ito's, told apart by colour-blind
eyes, and lines differ in their marks too. No text of a model is drawn: names of labels, languages and subsets only.
"""

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eval.diagnosis.finding import CHECKS
from mmafflm.records import replacing

BLUE, ORANGE, GREY = "#0072B2", "#E69F00", "#777777"
_ABOVE: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": 2, "frameon": False}


def how_many(details: Mapping[str, Sequence[Mapping[str, Any]]]) -> int:
    """How many pictures draw_all() draws."""
    each = ("intensity_drift", "language_collapse", "label_prior")
    return sum(len(details[kind]) for kind in each) + sum(bool(details[kind]) for kind in details if kind not in each)


def draw_all(
    folder: Path,
    details: Mapping[str, Sequence[Mapping[str, Any]]],
    advance: Callable[[int], None] = lambda count: None,
) -> dict[str, list[str]]:
    """Write every picture, remove those of an earlier diagnosis, and say which file shows what: {kind: names}.

    advance: called after each picture.
    """
    drawn: dict[str, list[str]] = {}
    for kind, figure_name, figure in _figures(details):
        _save(folder / f"{figure_name}.png", figure)
        drawn.setdefault(kind, []).append(f"{folder.name}/{figure_name}.png")
        advance(1)
    kept = {Path(name).name for names in drawn.values() for name in names}
    for old in folder.glob("*.png"):
        if old.name not in kept:
            old.unlink()
    return drawn


def _figures(details: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterable[tuple[str, str, Figure]]:
    for one in details["intensity_drift"]:
        yield "intensity_drift", _name("intensity", one["subset"], one["task"], one["part"]), _intensity(one)
    for one in details["language_collapse"]:
        yield "language_collapse", _name("languages", one["group"], one["task"]), _languages(one)
    if details["modality_ignorance"]:
        yield "modality_ignorance", "modality", _modality(details["modality_ignorance"])
    for one in details["label_prior"]:
        yield "label_prior", _name("confusion", one["subset"], one["task"]), _confusion(one)
    if details["format"]:
        yield "format", "format", _format(details["format"])


def _name(*parts: str) -> str:
    return "_".join(filter(None, parts))


def _save(path: Path, figure: Figure) -> None:
    """Whole or not at all, and the same bytes for the same numbers."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=100, metadata={"Software": None})
    with replacing(path) as out:
        out.write(picture.getvalue())


def _errors(values: Sequence[float | None], ends: Sequence[Sequence[float] | None]) -> np.ndarray[Any, Any]:
    """Error bars [2, n] from values and intervals; none where one is missing. A percentile end may pass the value."""
    pairs = [
        (max(0.0, value - end[0]), max(0.0, end[1] - value)) if value is not None and end else (0.0, 0.0)
        for value, end in zip(values, ends, strict=True)
    ]
    return np.array(pairs).reshape(-1, 2).T


def _numbers(values: Iterable[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]


def _intensity(one: Mapping[str, Any]) -> Figure:
    """Left the two distributions over the scale's tenths, right gold against answer, with the diagonal."""
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    ticks = np.array(one["ticks"])
    width = (ticks[1] - ticks[0]) * 0.42
    left.bar(ticks - width / 2, np.array(one["gold"]) / one["n"], width, color=BLUE, label="gold")
    left.bar(ticks + width / 2, np.array(one["answers"]) / one["n"], width, color=ORANGE, hatch="//", label="answers")
    left.set(xlabel="value", ylabel="share of rows")
    left.legend(**_ABOVE)
    answers, gold = _numbers(one["mean_answer"]), _numbers(one["mean_gold"])
    right.plot(ticks[[0, -1]], ticks[[0, -1]], color=GREY, linestyle="--", label="calibrated")
    right.errorbar(answers, gold, _errors(one["mean_gold"], one["mean_gold_ci95"]), fmt="o-", color=ORANGE, capsize=3,
                   label="answers")  # fmt: skip
    right.set(xlabel="mean answer", ylabel="mean gold, 95% interval", xlim=(ticks[0], ticks[-1]),
              ylim=(ticks[0], ticks[-1]))  # fmt: skip
    right.legend(**_ABOVE)
    name = " ".join(filter(None, (one["subset"], one["task"], one["part"])))
    figure.suptitle(f"{name}: answers and gold, n = {one['n']}")
    return figure


def _languages(one: Mapping[str, Any]) -> Figure:
    """Scores by language and by script with intervals, English as a line; beside them the unparsed rates."""
    rows = [*((name, row, BLUE) for name, row in _by_score(one["languages"])),
            *((f"({name})", row, ORANGE) for name, row in _by_score(one["scripts"]))]  # fmt: skip
    figure = Figure(figsize=(8, 1.4 + 0.24 * len(rows)), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 1), sharey=True)
    for at, (_, row, colour) in enumerate(rows):
        left.errorbar([_numbers([row["score"]])[0]], [at], xerr=_errors([row["score"]], [row["ci95"]]), capsize=2,
                      fmt="o" if colour == BLUE else "s", color=colour)  # fmt: skip
        right.barh(at, row["unparsed"] / row["n"], color=colour)
    english = one["languages"].get("en", {}).get("score")
    if english is not None:
        left.axvline(english, color=GREY, linestyle="--", label="English")
        left.axvline(english * CHECKS["kept"].threshold, color=GREY, linestyle=":", label="half of it")
        left.legend(loc="lower right")
    left.set_yticks(range(len(rows)), [name for name, _, _ in rows])
    left.set(xlabel=f"{one['metric']}, 95% interval")
    right.set(xlabel="share unparsed", xlim=(0, 1))
    figure.suptitle(f"{one['group']} {one['task']}: languages and (scripts)")
    return figure


def _by_score(rows: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    return sorted(rows.items(), key=lambda item: (item[1]["score"] or 0.0, item[0]))


def _modality(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """For each task and ablation the score lost and the share of answers that change, thresholds as lines."""
    figure = Figure(figsize=(8, 1.6 + 0.3 * len(rows)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    _bars(left, rows, "lost", "score lost", BLUE)
    _bars(right, rows, "changed", "answers changed", ORANGE)
    left.set_yticks(range(len(rows)), [f"{row['subset']} {row['task']}, {row['ablation']}" for row in rows])
    left.invert_yaxis()  # in the order of the tables
    figure.suptitle("What is lost when pictures or words are taken away")
    return figure


def _bars(axes: Axes, rows: Sequence[Mapping[str, Any]], check: str, label: str, colour: str) -> None:
    values = [row[check] for row in rows]
    errors = _errors(values, [row[f"{check}_ci95"] for row in rows])
    axes.barh(range(len(rows)), _numbers(values), xerr=errors, capsize=3, color=colour)
    axes.axvline(CHECKS[check].threshold, color=GREY, linestyle="--", label="threshold")
    axes.set(xlabel=f"{label}, 95% interval")
    axes.legend(**_ABOVE)


def _confusion(one: Mapping[str, Any]) -> Figure:
    """Shares of each gold class's rows; a row of several labels counts in each. The number stands in large cells."""
    counts = np.array(one["confusion"], dtype=float)
    shares = counts / np.maximum(np.array(one["gold_rows"], dtype=float), 1)[:, None]
    size = 2.4 + 0.34 * len(one["classes"])
    figure = Figure(figsize=(size + 0.8, size), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the gold class", shrink=0.8)
    axes.set_xticks(range(counts.shape[1]), [*one["classes"], "no answer"], rotation=90)
    gold = [f"{name} ({rows})" for name, rows in zip(one["classes"], one["gold_rows"], strict=True)]
    axes.set_yticks(range(counts.shape[0]), gold)
    for (row, column), share in np.ndenumerate(shares):
        if share >= 0.05 and len(one["classes"]) <= 12:
            axes.text(column, row, f"{share:.0%}".rstrip("%"), ha="center", va="center", fontsize=7,
                      color="black" if share > 0.6 else "white")  # fmt: skip
    axes.set(xlabel="answered", ylabel="gold (rows)", title=f"{one['subset']} {one['task']}, % of each gold class")
    return figure


def _format(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """The kinds of unparsed answers of each task, stacked."""
    kinds = list(dict.fromkeys(kind for row in rows for kind in row["kinds"]))
    colours = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000", "#999999")
    figure = Figure(figsize=(8, 1.8 + 0.3 * len(rows)), layout="constrained")
    axes = figure.subplots()
    left = np.zeros(len(rows))
    for at, kind in enumerate(kinds):
        shares = np.array([row["kinds"].get(kind, {}).get("share", 0.0) for row in rows])
        hatch = "//" if at >= len(colours) else None
        axes.barh(range(len(rows)), shares, left=left, color=colours[at % len(colours)], hatch=hatch, label=kind)
        left += shares
    axes.set_yticks(range(len(rows)), [f"{row['subset']} {row['task']}" for row in rows])
    axes.invert_yaxis()
    axes.set(xlabel="share of all answers", title="Unparsed answers by kind")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
