"""Charts as small inline SVG: drawn from counts, coloured by the page's style. The title of each describes it in words.

Text stays text, Markup.format escapes every value, and shapes convey the same information as colours.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from eval.diagnosis.finding import MIN_ROWS
from mmafflm.svg import figure, joined, line, text

_SIZES = 6  # sizes of dots in a scatter plot: the style's .dots0 to .dots5 set their diameters


class Estimate(NamedTuple):
    """One run's value with its interval, to draw on a lane. run: the run's position on the page, from 0."""

    run: int
    name: str
    value: float | None
    ends: Sequence[float] | None


def marker(run: int, x: float, y: float) -> Markup:
    """The run's mark. Its shape distinguishes up to four runs without colour."""
    s = 3.6
    shapes = (
        f"M{x - s:g} {y:g}a{s} {s} 0 1 0 {2 * s:g} 0a{s} {s} 0 1 0 {-2 * s:g} 0",
        f"M{x - s:g} {y - s:g}h{2 * s}v{2 * s}h{-2 * s}z",
        f"M{x:g} {y - s - 1:g}l{s + 1:g} {2 * s}h{-2 * s - 2:g}z",
        f"M{x:g} {y - s - 1.4:g}l{s + 1.4:g} {s + 1.4:g}l{-s - 1.4:g} {s + 1.4:g}l{-s - 1.4:g} {-s - 1.4:g}z",
    )
    return Markup('<path class="mark run{}" d="{}"/>').format(run % 6, shapes[run % len(shapes)])


def key(run: int) -> Markup:
    """The run's mark as a small picture next to the run's name."""
    return Markup('<svg class="key" viewBox="0 0 14 12" width="14" height="12" aria-hidden="true">{}</svg>').format(
        marker(run, 7, 6)
    )


def lane(
    found: Sequence[Estimate],
    baseline: float | None,
    domain: tuple[float, float],
    title: str,
    humans: float | None = None,
) -> Markup:
    """The values of all runs on one axis, with their 95% intervals as whiskers.

    Vertical lines show the baseline and, dashed, human agreement. The axis fills the available width, but text and
    marks keep their size.
    """
    step = 8.0
    height = step * max(1, len(found)) + 6
    body = [_upright("axis", share(tick, domain), 0, height) for tick in ticks(domain)]
    if baseline is not None:
        body.append(_upright("baseline", share(baseline, domain), 2, height - 2))
    if humans is not None:
        body.append(_upright("humans", share(humans, domain), 0, height))
    for place, one in enumerate(found):
        y = step * (place + 0.5) + 3
        if one.ends:
            ends = (share(end, domain) for end in one.ends)
            body.append(Markup('<line class="whisker run{}" x1="{:.4g}%" x2="{:.4g}%" y1="{:g}" y2="{:g}"/>').format(
                one.run % 6, *ends, y, y))  # fmt: skip
        if one.value is not None:
            at = Markup('<svg x="{:.4g}%" overflow="visible">{}</svg>')
            body.append(at.format(share(one.value, domain), marker(one.run, 0, y)))
    return _wide(height, title, body)


def axis(domain: tuple[float, float], title: str) -> Markup:
    """The numbers of the axis, to show above the lanes."""
    return _wide(15, title, [
        Markup('<text class="middle" x="{:.4g}%" y="11">{:g}</text>').format(share(tick, domain), tick)
        for tick in ticks(domain)
    ])  # fmt: skip


def share(value: float, domain: tuple[float, float]) -> float:
    """The value's position on the axis in percent. A value beyond an end is drawn at this end."""
    low, high = domain
    return 100 * (min(max(value, low), high) - low) / (high - low)


def ticks(domain: tuple[float, float]) -> list[float]:
    """The values with a tick: the multiples of 0.2 between the ends; on an axis of 1.3 or longer, of 0.5."""
    low, high = domain
    step = 0.2 if high - low < 1.3 else 0.5
    return [round(at * step, 1) for at in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _upright(kind: str, at: float, top: float, bottom: float) -> Markup:
    return Markup('<line class="{}" x1="{:.4g}%" x2="{:.4g}%" y1="{:g}" y2="{:g}"/>').format(kind, at, at, top, bottom)


def _wide(height: float, title: str, body: Sequence[Markup]) -> Markup:
    return Markup('<svg class="lane" width="100%" height="{:g}" role="img"><title>{}</title>{}</svg>').format(
        height, title, joined(body)
    )


def scatter(counts: Mapping[str, Any], scale: tuple[float, float], places: int, title: str, run: int) -> Markup:
    """Gold (horizontal) against the answer (vertical). A dot's area grows with the number of rows at its position."""
    left, top, side = 30.0, 6.0, 190.0

    def at(place: int) -> float:
        return side * place / (places - 1)

    most = max((count for _, _, count in counts["places"]), default=1)
    dots: dict[int, list[str]] = {}
    for x, y, count in counts["places"]:
        size = min(int((count / most) ** 0.5 * _SIZES), _SIZES - 1) if most > 1 else 2
        dots.setdefault(size, []).append(f"M{left + at(x):.4g} {top + side - at(y):.4g}h0")
    body = [*_frame(left, top, side, side), line("diagonal", left, top + side, left + side, top)]
    body += [
        Markup('<path class="dots dots{}" d="{}"/>').format(size, "".join(path)) for size, path in sorted(dots.items())
    ]
    body += _labels(left, top, side, scale)
    body += [text(left + side / 2, top + side + 24, "gold", "middle"),
             text(10, top + side / 2, "answer", "middle", -90)]  # fmt: skip
    return figure(left + side + 10, top + side + 30, title, body, f"of{run % 6}")


def histogram(counts: Mapping[str, Any], scale: tuple[float, float], title: str, run: int) -> Markup:
    """The distributions of the answers (bars) and of gold (a stepped line over the bars), on one scale."""
    left, top, width, height = 30.0, 6.0, 190.0, 110.0
    gold, answered = counts["gold"], counts["answered"]
    most, step = max(*gold, *answered, 1), width / len(gold)
    bars = [
        Markup('<path class="bar" d="M{:.4g} {:g}v{:.4g}h{:.4g}v{:.4g}z"/>').format(
            left + step * at + 0.5, top + height, -height * count / most, step - 1, height * count / most
        )
        for at, count in enumerate(answered)
        if count
    ]
    steps = "".join(f"V{top + height - height * count / most:.4g}h{step:.4g}" for count in gold)
    outline = Markup('<path class="steps" d="M{:g} {:g}{}V{:g}"/>').format(left, top + height, steps, top + height)
    body = [*_frame(left, top, width, height), *bars, outline, *_labels(left, top, height, scale, width)]
    body.append(text(left - 3, top + 9, most, "end"))
    return figure(left + width + 10, top + height + 16, title, body, f"of{run % 6}")


def _frame(left: float, top: float, width: float, height: float) -> list[Markup]:
    return [Markup('<path class="axis" d="M{:g} {:g}h{:g}v{:g}h{:g}z"/>').format(left, top, width, height, -width)]


def _labels(left: float, top: float, height: float, scale: tuple[float, float], width: float = 190.0) -> list[Markup]:
    """Labels at the ends and the middle of the horizontal axis; in a square plot also of the vertical axis."""
    values = [scale[0], sum(scale) / 2, scale[1]]
    across = [text(left + width * at / 2, top + height + 12, f"{value:g}", "middle") for at, value in enumerate(values)]
    up = [text(left - 3, top + height - height * at / 2 + 4, f"{value:g}", "end") for at, value in enumerate(values)]
    return across + (up if height == width else [])


def matrix(counts: Mapping[str, Any], title: str) -> Markup:
    """A confusion matrix with gold classes as rows and answers as columns.

    A cell's shade and number show the share of the gold class's rows. A gold class of fewer than MIN_ROWS rows is grey.
    """
    names, size = counts["classes"], 26.0 if len(counts["classes"]) <= 13 else 19.0
    left, top = 8 + 6.1 * max(map(len, names)), 8 + 4.6 * max([*map(len, names), 8])
    columns = [*names, "unparsed"]
    gap = 5.0
    body = [
        text(left + size * (at + 0.62) + gap * (at == len(names)), top - 5, name, "", -50)
        for at, name in enumerate(columns)
    ]
    for i, name in enumerate(names):
        y, few = top + size * i, " few" if counts["gold"][i] < MIN_ROWS else ""
        body.append(text(left - 4, y + size / 2 + 3.5, name, f"end{few}"))
        for j, count in enumerate([*counts["matrix"][i], counts["unparsed"][i]]):
            share = count / counts["gold"][i] if counts["gold"][i] else 0.0
            place = (left + size * j + gap * (j == len(names)), y, size)
            told = f"gold {name}, answered {columns[j]}: {count} of {counts['gold'][i]}" if count else ""
            body.append(_cell(place, share, (" right" if i == j else "") + few, told))
    width = left + size * len(columns) + gap + 0.66 * top
    return figure(width, top + size * len(names) + 6, title, body, "matrix")


def _cell(place: tuple[float, float, float], share: float, kind: str, title: str) -> Markup:
    """A square at (x, y). kind: additional CSS classes, each after a space. title: "" for an empty cell."""
    x, y, size = place
    if not title:  # an empty cell needs only a faint box; most cells of a 26 x 26 matrix are empty
        return Markup('<path class="{}" d="M{:.4g} {:.4g}h{:g}v{:g}h{:g}z"/>').format(
            f"cell{kind}", x, y, size - 1, size - 1, 1 - size
        )
    number = (
        text(round(x + size / 2 - 0.5, 1), round(y + size / 2 + 3, 1), f"{share:.0%}"[:-1],
              f"middle {_shade(share)}") if share >= 0.005 else Markup("")
    )  # fmt: skip
    return Markup(
        '<g><title>{}</title><rect class="{}" x="{:.4g}" y="{:.4g}" width="{:g}" height="{:g}" fill-opacity="{:.2f}"/>'
        "{}</g>"
    ).format(title, f"cell full{kind}", x, y, size - 1, size - 1, share, number)


def _shade(share: float) -> str:
    """The CSS class of text on a cell of this opacity. The style makes such text black or white, so it is legible."""
    return "on" if share > 0.7 else "mid" if share > 0.56 else ""
