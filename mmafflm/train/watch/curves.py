"""OUT/curves.png: all curves of a run in one picture, from progress.jsonl and validation.jsonl."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmafflm.records import read_jsonl, replacing
from mmafflm.train.watch.progress import read_progress
from mmafflm.train.watch.validation_row import ROWS

CURVES = "curves.png"
WIDTH, HEIGHT = 15, 12  # inches
Series = list[tuple[int, float]]


def draw(out: Path) -> Path | None:
    """Draw OUT/curves.png and return its path; None when no step was logged."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = read_progress(out)
    if not rows:
        return None
    validated = list(read_jsonl(out / ROWS)) if (out / ROWS).exists() else []
    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    FigureCanvasAgg(figure)
    axes: Any = figure.subplots(3, 3).flatten().tolist()
    panels: list[tuple[str, dict[str, Series]]] = [
        ("loss", {"": _of(rows, "loss")}),
        ("gradient norm", {"": _of(rows, "grad_norm")}),
        ("learning rate", {"": _of(rows, "learning_rate")}),
        ("tokens a second", {"": _of(rows, "tokens_per_s")}),
        (
            "shares",
            {"real tokens": _of(rows, "real_share"), "time waiting for data": _of(rows, "data_wait_share")},
        ),
        ("seen so far, by subset", _seen(rows, "subset")),
        ("seen so far, by language", _seen(rows, "language")),
        ("validation: score", _validated(validated, "score")),
        ("validation: most frequent answer's share", _validated(validated, "top_share")),
    ]
    for axis, (title, series) in zip(axes, panels, strict=True):
        _panel(axis, title, series)
    with replacing(out / CURVES) as picture:
        figure.savefig(picture, dpi=80, format="png")
    return out / CURVES


def _panel(axis: Any, title: str, series: dict[str, Series]) -> None:
    for name, found in series.items():
        if found:
            axis.plot(*zip(*found, strict=True), label=name, marker="." if len(found) < 30 else None, linewidth=1)
    axis.set_title(title, fontsize=10)
    axis.set_xlabel("step", fontsize=8)
    axis.tick_params(labelsize=8)
    if any(series.values()) and any(series):
        axis.legend(fontsize=6, ncols=2 if len(series) > 9 else 1)


def _of(rows: Sequence[dict[str, Any]], *keys: str) -> Series:
    """(step, value) of each row with a value under these keys, each key nested in the one before; not for null."""
    found = []
    for row in rows:
        value: Any = row
        for key in keys:
            value = value.get(key) if value is not None else None
        if value is not None:
            found.append((row["step"], value))
    return found


def _seen(rows: Sequence[dict[str, Any]], kind: str) -> dict[str, Series]:
    """The curves of the twelve names with the largest shares."""
    last = rows[-1]["seen"][kind]
    return {name: _of(rows, "seen", kind, name) for name in sorted(last, key=lambda name: -last[name])[:12]}


def _validated(rows: Sequence[dict[str, Any]], key: str) -> dict[str, Series]:
    names = sorted({name for row in rows for name in row["tasks"]})
    return {name: _of(rows, "tasks", name, key) for name in names}
