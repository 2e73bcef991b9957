"""OUT/curves.png: all curves of a run in one picture, from progress.jsonl and validation.jsonl."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmafflm.records import read_jsonl, replacing
from mmafflm.train.watch.progress import read_progress
from mmafflm.train.watch.validation_row import ROWS

CURVES = "curves.png"
ACROSS = 3  # panels in a row
WIDTH, HEIGHT = 6.2, 3.6  # of a panel, in inches
DISTINCT = 10  # lines; if there are more, they get the colours of a rainbow, from the highest last value down
SMOOTH = 0.05  # of the steps: the width of the moving mean that is drawn over the raw values
Series = list[tuple[int, float]]


class CurvePanel(NamedTuple):
    """One pair of axes: its title with the unit, its lines by name, and how they are drawn."""

    title: str
    series: Mapping[str, Series]
    smooth: bool = False
    logarithmic: bool = False


def draw(out: Path) -> Path | None:
    """Draw OUT/curves.png and return its path; None when no step was logged."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = read_progress(out)
    if not rows:
        return None
    validated = list(read_jsonl(out / ROWS)) if (out / ROWS).exists() else []
    shown = panels(rows, validated)
    lines = max(1, -(-len(shown) // ACROSS))
    figure = Figure(figsize=(WIDTH * ACROSS, HEIGHT * lines), layout="constrained")
    FigureCanvasAgg(figure)
    parts: Any = figure.subfigures(lines, ACROSS, squeeze=False).flatten().tolist()  # a legend narrows only its panel
    for part, panel in zip(parts, shown, strict=False):
        _draw(part.subplots(), panel)
    with replacing(out / CURVES) as picture:
        figure.savefig(picture, dpi=80, format="png")
    return out / CURVES


def panels(rows: Sequence[dict[str, Any]], validated: Sequence[dict[str, Any]]) -> list[CurvePanel]:
    """The panels that have anything to draw. A line without a value is left out, and a panel without a line."""
    shares = {"real tokens": _of(rows, "real_share"), "time waiting for data": _of(rows, "data_wait_share")}
    every = [
        CurvePanel("loss (nats a token, logarithmic)", {"": _of(rows, "loss")}, smooth=True, logarithmic=True),
        CurvePanel("gradient norm (logarithmic)", {"": _of(rows, "grad_norm")}, smooth=True, logarithmic=True),
        CurvePanel("learning rate", {"": _of(rows, "learning_rate")}),
        CurvePanel("tokens a second", {"": _of(rows, "tokens_per_s")}, smooth=True),
        CurvePanel("shares of tokens and of time", shares, smooth=True),
        CurvePanel("examples seen so far: share of each subset", _seen(rows, "subset")),
        CurvePanel("examples seen so far: share of each language", _seen(rows, "language")),
        CurvePanel("validation: score (macro F1, or Pearson's r)", _validated(validated, "score")),
        CurvePanel("validation: the most frequent answer's share", _validated(validated, "top_share")),
    ]
    kept = [panel._replace(series={name: one for name, one in panel.series.items() if one}) for panel in every]
    return [panel for panel in kept if panel.series]


def smoothed(series: Series) -> Series:
    """The mean of each value and its neighbours; the raw values when there are too few to smooth."""
    half = int(len(series) * SMOOTH / 2)
    values = [value for _, value in series]
    return [
        (step, sum(near) / len(near))
        for at, (step, _) in enumerate(series)
        for near in [values[max(0, at - half) : at + half + 1]]
    ]


def _draw(axis: Any, panel: CurvePanel) -> None:
    """Draw one panel. Each line has its own colour. The legend lists them by their last value, the highest first."""
    from matplotlib import colormaps
    from matplotlib.ticker import LogLocator

    names = sorted(panel.series, key=lambda name: -panel.series[name][-1][1])
    many, few = colormaps["turbo"], colormaps["tab10"]
    colours = [many(0.05 + 0.9 * at / len(names)) if len(names) > DISTINCT else few(at) for at in range(len(names))]
    for at, name in enumerate(names):
        series = panel.series[name]
        look = {"color": colours[at], "marker": "." if len(series) < 30 else None, "linewidth": 1.2}
        mean = smoothed(series) if panel.smooth else series
        if mean != series:
            axis.plot(*zip(*series, strict=True), color=colours[at], alpha=0.3, linewidth=0.7)
            look["linewidth"] = 1.8
        axis.plot(*zip(*mean, strict=True), label=name, **look)
    values = [value for series in panel.series.values() for _, value in series]
    if panel.logarithmic and min(values) > 0:
        axis.set_yscale("log")
        axis.yaxis.set_minor_locator(LogLocator(subs=(1.5, 2, 3, 5, 7)))
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter("{x:g}")
    axis.set_title(panel.title, fontsize=10)
    axis.set_xlabel("step", fontsize=8)
    axis.tick_params(labelsize=8, which="both")
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    if names != [""]:
        axis.legend(fontsize=6, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, ncols=1 + (len(names) > 24))


def _of(rows: Sequence[dict[str, Any]], *keys: str) -> Series:
    """(step, value) of each row that has a value, other than null, when the keys are looked up one inside the other."""
    found = []
    for row in rows:
        value: Any = row
        for key in keys:
            value = value.get(key) if value is not None else None
        if value is not None:
            found.append((row["step"], value))
    return found


def _seen(rows: Sequence[dict[str, Any]], kind: str) -> dict[str, Series]:
    """{name: its share of the examples seen so far} for all subsets, languages or modalities."""
    return {name: _of(rows, "seen", kind, name) for name in rows[-1]["seen"][kind]}


def _validated(rows: Sequence[dict[str, Any]], key: str) -> dict[str, Series]:
    names = sorted({name for row in rows for name in row["tasks"]})
    return {name: _of(rows, "tasks", name, key) for name in names}
