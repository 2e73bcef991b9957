"""Small charts that show whether a run's probabilities are calibrated: reliability curves, and interval coverage."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from eval.report.svg import marker
from mmafflm import svg

LEFT, TOP, SIDE = 30.0, 6.0, 150.0


def reliability(found: Mapping[str, Any], title: str, run: int) -> Markup:
    """How often the likeliest label is right (vertical) at each confidence (horizontal), in bins of equal mass."""
    points = [(one["confidence"], one["right"], one["ci95"]) for one in found["curve"]]
    return _square(points, title, run)


def coverage(found: Mapping[str, Any], title: str, run: int) -> Markup:
    """How often gold lies in the central interval of the prediction (vertical), at each nominal level (horizontal)."""
    points = [(float(level), share, found["ci95"][level]) for level, share in found["covered"].items()]
    return _square(points, title, run)


def _square(points: Sequence[tuple[float, float, Sequence[float] | None]], title: str, run: int) -> Markup:
    """A curve in the unit square, with 95% intervals and the diagonal on which both axes are equal."""

    def x(value: float) -> float:
        return round(LEFT + SIDE * value, 1)

    def y(value: float) -> float:
        return round(TOP + SIDE * (1 - value), 1)

    path = "".join(f"{'L' if at else 'M'}{x(across):g} {y(up):g}" for at, (across, up, _) in enumerate(points))
    body = [
        Markup('<path class="axis" d="M{:g} {:g}h{:g}v{:g}h{:g}z"/>').format(LEFT, TOP, SIDE, SIDE, -SIDE),
        svg.line("diagonal", x(0), y(0), x(1), y(1)),
        *(
            svg.line(f"whisker run{run % 6}", x(across), y(ends[0]), x(across), y(ends[1]))
            for across, _, ends in points
            if ends
        ),
        Markup('<path class="curve run{}" d="{}"/>').format(run % 6, path),
        *(marker(run, x(across), y(up)) for across, up, _ in points),
    ]
    for value in (0.0, 0.5, 1.0):
        body.append(svg.text(x(value), TOP + SIDE + 12, f"{value:g}", "middle"))
        body.append(svg.text(LEFT - 4, y(value) + 4, f"{value:g}", "end"))
    said = "; ".join(f"{across:.2f}: {up:.2f}" for across, up, _ in points)
    return svg.figure(LEFT + SIDE + 10, TOP + SIDE + 16, f"{title}: {said}", body)
