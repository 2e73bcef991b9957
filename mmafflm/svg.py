"""Build charts as SVG. The page's CSS, or that of the SVG file, colours them. Markup.format escapes every value."""

from collections.abc import Iterable

from markupsafe import Markup


def joined(parts: Iterable[Markup]) -> Markup:
    """The parts, one after the other."""
    return Markup("").join(parts)


def figure(width: float, height: float, title: str, body: Iterable[Markup], kind: str = "") -> Markup:
    """A chart of this size in CSS pixels, which the page's CSS may limit. A screen reader reads its title."""
    return Markup(
        '<svg class="figure {}" viewBox="0 0 {:g} {:g}" width="{:g}" height="{:g}" role="img"><title>{}</title>{}</svg>'
    ).format(kind, width, height, width, height, title, joined(body))


def line(kind: str, x1: float, y1: float, x2: float, y2: float) -> Markup:
    """A straight line; `kind` is its CSS class."""
    return Markup('<path class="{}" d="M{:g} {:g}L{:g} {:g}"/>').format(
        kind, round(x1, 1), round(y1, 1), round(x2, 1), round(y2, 1)
    )


def text(x: float, y: float, content: object, kind: str = "", turn: int = 0) -> Markup:
    """Escaped text at a point, rotated by `turn` degrees."""
    turned = Markup(' transform="rotate({} {:g} {:g})"').format(turn, x, y) if turn else ""
    return Markup('<text x="{:g}" y="{:g}" class="{}"{}>{}</text>').format(x, y, kind, turned, content)


def path(kind: str, d: str) -> Markup:
    """A shape or a curve with the path data `d`; `kind` is its CSS class."""
    return Markup('<path class="{}" d="{}"/>').format(kind, d)


def moved(x: float, y: float, body: Iterable[Markup]) -> Markup:
    """The parts, moved x pixels to the right and y pixels down."""
    return Markup('<g transform="translate({:g} {:g})">{}</g>').format(round(x, 1), round(y, 1), joined(body))


def document(width: float, height: float, title: str, style: str, body: Iterable[Markup]) -> str:
    """An SVG file with a background of class `paper`, because a viewer may be dark. `style` is CSS, not escaped."""
    return str(
        Markup(
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {:g} {:g}" width="{:g}" height="{:g}" role="img">'
            '<title>{}</title><style>{}</style><path class="paper" d="M0 0h{:g}v{:g}h{:g}z"/>{}</svg>\n'
        ).format(width, height, width, height, title, Markup(style), width, height, -width, joined(body))
    )
