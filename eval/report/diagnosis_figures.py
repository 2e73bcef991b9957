"""Charts of what a diagnosis measured, drawn from the details in diagnosis.json so that page and file agree."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from eval.report.svg import marker
from mmafflm import svg

LANE = 15.0  # height of a row, in pixels
SIDE = 150.0  # side of a calibration plot, in pixels


class Drawing(NamedTuple):
    """A chart with its title, unit, number of rows and caption. wide: it may be wider than a phone's screen."""

    svg: Markup
    title: str
    unit: str
    n: str
    caption: str
    wide: bool


class Mark(NamedTuple):
    """A value on a lane with its interval; `kind` is its CSS class."""

    kind: str
    value: float | None
    ends: Sequence[float] | None = None


class Lane(NamedTuple):
    """A row of a dot plot: its name, its marks, and the note to the right of them."""

    name: str
    marks: list[Mark]
    note: str = ""


def drawings(kind: str, details: Sequence[Mapping[str, Any]], checks: Mapping[str, Any], run: int) -> list[Drawing]:
    """The charts of one kind of failure; [] without details. run: the run's position, which determines its colour."""
    if not details:
        return []
    match kind:
        case "intensity_drift":
            return [_calibration(one, run) for one in details]
        case "language_collapse":
            return [_languages(one, run) for one in details]
        case "modality_ignorance":
            return [_modality(details, check, checks[check], run) for check in ("lost", "changed")]
        case "prompt_dependence":
            return [_prompts(details, run)]
        case "label_prior":
            return list(_baselines(details, run))
        case "format":
            return [_unparsed(details, checks["unparsed"], run)]
    return []


def _calibration(one: Mapping[str, Any], run: int) -> Drawing:
    """The mean gold value (vertical) at each mean answer (horizontal). On the diagonal both are equal."""
    left, top = 26.0, 6.0
    low, high = float(one["ticks"][0]), float(one["ticks"][-1])

    def x(value: float) -> float:
        return round(left + SIDE * (value - low) / (high - low), 1)

    def y(value: float) -> float:
        return round(top + SIDE * (high - value) / (high - low), 1)

    points = [
        (x(answer), y(gold), ends)
        for answer, gold, ends in zip(one["mean_answer"], one["mean_gold"], one["mean_gold_ci95"], strict=True)
        if answer is not None and gold is not None
    ]
    body = [
        Markup('<path class="axis" d="M{:g} {:g}h{:g}v{:g}h{:g}z"/>').format(left, top, SIDE, SIDE, -SIDE),
        svg.line("diagonal", left, top + SIDE, left + SIDE, top),
        *(svg.line(f"whisker run{run % 6}", at, y(ends[0]), at, y(ends[1])) for at, _, ends in points if ends),
        Markup('<path class="curve run{}" d="{}"/>').format(run % 6, _path(points)),
        *(marker(run, at, up) for at, up, _ in points),
    ]
    for value in (low, (low + high) / 2, high):
        body.append(svg.text(x(value), top + SIDE + 12, f"{value:g}", "middle"))
        body.append(svg.text(left - 4, y(value) + 4, f"{value:g}", "end"))
    name = " ".join(filter(None, (one["subset"], one["task"], one["part"])))
    said = "; ".join(
        f"{answer:.2f}: {gold:.2f}"
        for answer, gold in zip(one["mean_answer"], one["mean_gold"], strict=True)
        if answer is not None and gold is not None
    )
    figure = svg.figure(left + SIDE + 10, top + SIDE + 16, f"{name}: mean gold at each mean answer: {said}", body)
    unit = f"points of the scale {low:g} to {high:g}"
    return Drawing(
        figure, name, unit, f"{one['n']:,}", "Mean gold value (vertical) at each mean answer (horizontal).", False
    )


def _path(points: Sequence[tuple[float, float, Any]]) -> str:
    return "".join(f"{'L' if at else 'M'}{x:g} {y:g}" for at, (x, y, _) in enumerate(points))


def _languages(one: Mapping[str, Any], run: int) -> Drawing:
    """Each language's score, then each script's. The vertical line marks the English score."""
    lanes = []
    for kind, before, after in (("languages", "", ""), ("scripts", "script ", "")):
        for name, row in sorted(one[kind].items(), key=lambda item: (item[1]["score"] or 0.0, item[0])):
            unparsed = row["unparsed"] / row["n"]
            gap, ends = row.get("gap"), row.get("gap_ci95")
            told = gap is not None and ends and (kind, name) != ("languages", "en")
            said = f"gap {gap:+.2f} [{ends[0]:+.2f}, {ends[1]:+.2f}]" if told else ""
            foreign = (
                sum(rows for spoken, rows in row.get("prose", {}).items() if spoken not in ("none", "en")) / row["n"]
            )
            shares = (("unparsed", unparsed), ("prose in another language", foreign))
            note = ", ".join(filter(None, (said, *(f"{what} {of:.0%}" for what, of in shares if of >= 0.005))))
            lanes.append(Lane(f"{before}{name}{after}", [Mark(f"run{run % 6}", row["score"], row["ci95"])], note))
    english = one["languages"].get("en", {}).get("score")
    lines = [] if english is None else [english]
    name = f"{one['group']} {one['task']}"
    figure = dots(lanes, lines, f"{name}: {one['metric']} of each language and script", run)
    caption = (
        "Whiskers are 95% intervals; the dashed line is the English score. At the right: the gap to English, and the "
        "shares of unparsed answers and of answers with prose in another language, if any."
    )
    return Drawing(figure, name, str(one["metric"]), _rows(one["languages"].values()), caption, True)


def _modality(rows: Sequence[Mapping[str, Any]], check: str, why: Mapping[str, Any], run: int) -> Drawing:
    """The share of the score that is lost, or the share of answers that change, under each ablation."""
    lanes = [
        Lane(f"{row['subset']} {row['task']}, {row['ablation']}",
             [Mark(f"run{run % 6}", row[check], row[f"{check}_ci95"])], f"n {row['n']}")
        for row in rows
    ]  # fmt: skip
    what, caption = str(why["what"]), f"The dashed line is the threshold, {why['threshold']:g}."
    unit = "share of the score" if check == "lost" else "share of the answers"
    figure = dots(lanes, [why["threshold"]], what, run)
    return Drawing(figure, what[:1].upper() + what[1:], unit, _rows(rows), caption, True)


def _prompts(details: Sequence[Mapping[str, Any]], run: int) -> Drawing:
    """The score of every task with the benchmark's prompt and with its other forms, and how many answers change."""
    lanes = []
    for one in details:
        forms = [Mark("baseline", value) for name, value in one["scores"].items() if name != "none"]
        moved = ", ".join(f"{name} {of['value']:.0%}" for name, of in one["changed"].items())
        spread, ends = one["spread"], one["spread_ci95"]
        said = f"spread {spread:.3f} [{ends[0]:.3f}, {ends[1]:.3f}], " if spread is not None and ends else ""
        own = Mark(f"run{run % 6}", one["scores"].get("none"))
        lanes.append(Lane(f"{one['subset']} {one['task']}", [*forms, own], f"{said}changed: {moved}"))
    title = "Each task, with the benchmark's prompt and with other forms of it"
    caption = (
        "Short lines: the scores with the labels in another order, the instruction after the text, or another wording. "
        "At the right: the spread of the scores (highest - lowest, so chance alone makes it positive) and the share of "
        "answers that change."
    )
    return Drawing(dots(lanes, [], title, run), title, "main metric", _rows(details), caption, True)


def _baselines(details: Sequence[Mapping[str, Any]], run: int) -> Iterator[Drawing]:
    """Macro F1 of every task that has it, next to the baselines that do not read the record."""
    scored = [one for one in details if one["macro_f1"]]
    if not scored:
        return
    lanes = []
    for one in scored:
        others = {name: value for name, value in one["macro_f1"].items() if name != "score"}
        marks = [Mark("baseline", value) for value in others.values()]
        best = max(others, key=lambda name: others[name])
        lanes.append(Lane(f"{one['subset']} {one['task']}", [*marks, Mark(f"run{run % 6}", one["macro_f1"]["score"])],
                          f"{one['macro_f1']['score'] - others[best]:+.3f} against {best}"))  # fmt: skip
    title = "Each task, and the baselines that do not read the record"
    caption = (
        "Short lines: the scores of baselines that do not read the record (the majority label, labels at gold's "
        "frequency, the run's own answers assigned at random). The confusion matrices are shown with each subset."
    )
    yield Drawing(dots(lanes, [], title, run), title, "macro F1", _rows(scored), caption, True)


def _unparsed(details: Sequence[Mapping[str, Any]], why: Mapping[str, Any], run: int) -> Drawing:
    """The share of unparsed answers of every task with such answers, and their most frequent kind."""
    lanes = [
        Lane(f"{one['subset']} {one['task']}", [Mark(f"run{run % 6}", one["unparsed"] / one["n"], one.get("ci95"))],
             f"{one['unparsed']} of {one['n']}, {kind} {of['rows']}")
        for one in details
        for kind, of in list(one["kinds"].items())[:1]
    ]  # fmt: skip
    caption = (
        f"Whiskers are 95% intervals; the dashed line is the threshold, {why['threshold']:g}. At the right: the number "
        "of unparsed rows, and of those of the most frequent kind. Tasks whose answers were all parsed are left out."
    )
    figure = dots(lanes, [why["threshold"]], why["what"], run)
    return Drawing(figure, "Unparsed answers", "share of the answers", _rows(details), caption, True)


def _rows(parts: Iterable[Mapping[str, Any]]) -> str:
    """The number of rows of all parts, as text; "not known" when a diagnosis of another version has no counts."""
    counts = [one.get("n") for one in parts]
    return "not known" if None in counts else f"{sum(map(int, filter(None, counts))):,}"


def dots(lanes: Sequence[Lane], lines: Sequence[float], title: str, run: int) -> Markup:
    """A dot plot: rows of marks on one axis, with names at the left and notes at the right."""
    values = [
        end for lane in lanes for mark in lane.marks for end in (mark.value, *(mark.ends or ())) if end is not None
    ]
    low, high = min([0.0, *values, *lines]), max([0.1, *values, *lines])
    left, width = 12 + 6.0 * max(len(lane.name) for lane in lanes), 220.0
    notes = 5.6 * max(len(lane.note) for lane in lanes) + 12
    height = LANE * len(lanes)

    def x(value: float) -> float:
        return left + width * (value - low) / (high - low)

    body = [svg.line("axis", x(tick), 0, x(tick), height) for tick in (0.0, high)]
    body += [svg.line("majority", x(value), 0, x(value), height) for value in lines]
    for at, lane in enumerate(lanes):
        y = LANE * (at + 0.5)
        body.append(svg.text(left - 8, y + 3.5, lane.name, "end"))
        for mark in lane.marks:
            if mark.ends:
                body.append(svg.line(f"whisker {mark.kind}", x(mark.ends[0]), y, x(mark.ends[1]), y))
            if mark.value is not None and mark.kind == "baseline":
                body.append(svg.line("baseline", x(mark.value), y - 4, x(mark.value), y + 4))
            elif mark.value is not None:
                body.append(marker(run, round(x(mark.value), 1), y))
        body.append(svg.text(left + width + 10, y + 3.5, lane.note))
    body += [svg.text(x(tick), height + 12, f"{tick:.2g}", "middle") for tick in (0.0, high)]
    said = "; ".join(f"{lane.name} {_values(lane)} {lane.note}".strip() for lane in lanes)
    return svg.figure(left + width + notes, height + 16, f"{title}: {said}", body, "matrix")


def _values(lane: Lane) -> str:
    return ", ".join(f"{mark.value:.3f}" for mark in lane.marks if mark.value is not None)
