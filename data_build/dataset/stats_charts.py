"""Charts of the stats page. A chart shows all splits, each as shares of its own rows, so that sizes do not hide
differences. Each split has its own colour and its own mark or line, so that no chart needs colour to be read.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

from mmafflm.svg import figure, line, path, text

BINS = 20
_LEFT, _TOP, _HEIGHT = 34.0, 8.0, 78.0  # of the plot, in pixels
_WIDTH = 190.0
_MARKS = {
    "train": "M{x:.4g} {y:.4g}m-3.4 0a3.4 3.4 0 1 0 6.8 0a3.4 3.4 0 1 0 -6.8 0",
    "val": "M{x:.4g} {y:.4g}m0 -4.2l4 7h-8z",
    "test": "M{x:.4g} {y:.4g}m-3 -3h6v6h-6z",
}


def mark(split: str) -> Markup:
    """The split's mark, to show next to its name."""
    return Markup('<svg class="key" viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">{}</svg>').format(
        _mark(split, 6, 6)
    )


def _mark(split: str, x: float, y: float) -> Markup:
    return path(f"mark {split}", _MARKS[split].format(x=x, y=y))


def columns(
    title: str, counts: Mapping[str, Mapping[str, int]], rows: Mapping[str, int], names: Sequence[str]
) -> Markup:
    """A column for each name; in it each split's mark, at the share of the split's rows that have the name.

    counts: {split: {name: rows}}; rows: {split: the rows that a share is of}.
    """
    shares = {split: {name: of.get(name, 0) / max(rows[split], 1) for name in names} for split, of in counts.items()}
    most = max((share for of in shares.values() for share in of.values()), default=0.0) or 1.0
    step = max(13.0, min(26.0, _WIDTH / len(names)))
    width, below = step * len(names), 8 + 4.4 * max(map(len, names))
    body = _frame(width, most)
    for at, name in enumerate(names):
        x = _LEFT + step * (at + 0.5)
        heights = [_TOP + _HEIGHT * (1 - of[name] / most) for of in shares.values()]
        body.append(line("stem", x, min(heights), x, _TOP + _HEIGHT))
        body += [_mark(split, x, y) for split, y in zip(shares, heights, strict=True)]
        body.append(text(x + 3, _TOP + _HEIGHT + 11, name, "end", -50))
    told = "; ".join(
        f"{split}: " + ", ".join(f"{name} {share:.1%}" for name, share in of.items()) for split, of in shares.items()
    )
    return figure(_LEFT + width + 6, _TOP + _HEIGHT + below + 8, f"{title}, share of rows. {told}", body)


def lines(title: str, values: Mapping[str, Sequence[float]]) -> Markup | None:
    """A stepped line for each split: the share of its values in each of BINS bins. None without values that differ."""
    every = np.concatenate([np.asarray(of, dtype=float) for of in values.values()] or [np.zeros(0)])
    if not len(every) or every.min() == every.max():
        return None
    edges = np.linspace(every.min(), every.max(), BINS + 1)
    shares = {split: np.histogram(of, edges)[0] / len(of) for split, of in values.items() if len(of)}
    most = max(float(of.max()) for of in shares.values())
    body, step = _frame(_WIDTH, most), _WIDTH / BINS
    for split, of in shares.items():
        tops = [_TOP + _HEIGHT * (1 - float(one) / most) for one in of]
        steps = "".join(f"V{top:.4g}h{step:g}" for top in tops)
        body.append(path(f"steps {split}", f"M{_LEFT:g} {_TOP + _HEIGHT:g}{steps}V{_TOP + _HEIGHT:g}"))
    for share, value in ((0.0, edges[0]), (0.5, edges[BINS // 2]), (1.0, edges[-1])):
        body.append(text(_LEFT + _WIDTH * share, _TOP + _HEIGHT + 12, f"{value:,.4g}", "middle"))
    told = "; ".join(f"{split}: mean {np.mean(of):.4g}, {len(of)} values" for split, of in values.items() if len(of))
    return figure(_LEFT + _WIDTH + 16, _TOP + _HEIGHT + 16, f"{title}, share of values. {told}", body)


def _frame(width: float, most: float) -> list[Markup]:
    """The axis, and a line at the largest share with its value at the left."""
    low = _TOP + _HEIGHT
    return [
        line("axis", _LEFT, low, _LEFT + width, low),
        line("grid", _LEFT, _TOP, _LEFT + width, _TOP),
        text(_LEFT - 4, _TOP + 4, f"{most:.0%}" if most >= 0.1 else f"{most:.1%}", "end"),
        text(_LEFT - 4, low + 3, "0", "end"),
    ]
