"""The strokes of a figure as inline SVG: coloured by the page's style, each value escaped by Markup.format."""

from collections.abc import Iterable

from markupsafe import Markup


def joined(parts: Iterable[Markup]) -> Markup:
    """The pieces in a row."""
    return Markup("").join(parts)


def figure(width: float, height: float, title: str, body: Iterable[Markup], kind: str = "") -> Markup:
    """A drawing of so many CSS pixels, narrower where the screen is; the title is what a screen reader says."""
    return Markup(
        '<svg class="figure {}" viewBox="0 0 {:g} {:g}" width="{:g}" height="{:g}" role="img"><title>{}</title>{}</svg>'
    ).format(kind, width, height, width, height, title, joined(body))


def line(kind: str, x1: float, y1: float, x2: float, y2: float) -> Markup:
    """A straight line; `kind` is its class in the style."""
    return Markup('<path class="{}" d="M{:g} {:g}L{:g} {:g}"/>').format(
        kind, round(x1, 1), round(y1, 1), round(x2, 1), round(y2, 1)
    )


def text(x: float, y: float, content: object, kind: str = "", turn: int = 0) -> Markup:
    """Text at a point, escaped, turned by so many degrees."""
    turned = Markup(' transform="rotate({} {:g} {:g})"').format(turn, x, y) if turn else ""
    return Markup('<text x="{:g}" y="{:g}" class="{}"{}>{}</text>').format(x, y, kind, turned, content)
