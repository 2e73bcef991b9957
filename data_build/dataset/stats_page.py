"""The page of `mmaffin stats --out`: charts of a build, and sample rows of each subset.

The page is one file that loads nothing: charts are inline SVG, pictures are re-encoded within a size budget, all text
from the data is escaped, and a Content-Security-Policy allows the page's own style and no script.
"""

import base64
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import NamedTuple

import jinja2
from markupsafe import Markup

from data_build.dataset.stats import SEED, SplitCounts, Stats, ordered
from data_build.dataset.stats_charts import columns, lines, mark
from mmafflm.benchmark.benchmark import Task, benchmark
from mmafflm.benchmark.grammar import Labels, Number, Ordinal, Vad
from mmafflm.dataset import Dataset
from mmafflm.media.thumbnails import Picture, Thumbnails
from mmafflm.records import SPLITS, Record

MOST_TEXT = 2000  # characters shown of a prompt
PICTURES = 1_500_000  # most characters of the page that pictures may take
KINDS = {
    "emotion_intensity": "emotion intensity",
    "emotion_intensity_ordinal": "emotion intensity in classes",
    "emotion_classification": "emotions",
    "sentiment_polarity": "sentiment polarity",
    "sentiment_intensity": "sentiment intensity",
}  # what the keys of the tasks mean


class SampleRow(NamedTuple):
    """One row of the sample."""

    record: Record
    text: str  # what the prompt is about; shown separately, because its direction may differ from the English prompt's
    prompt: str
    pictures: list[Picture]


def page(dataset: Dataset, stats: Stats, seed: int = SEED) -> str:
    """The HTML; the same build and seed give the same bytes."""
    thumbnails = Thumbnails(dataset.path, PICTURES)
    subsets = []
    for name, sample in stats.sample.items():
        counted = [one for one in stats.counted if one.subset == name]
        shown = [_shown(record, thumbnails) for record in sample]
        subsets.append({"name": name, "modality": benchmark()[name].modality, "splits": counted,
                        "rows": _rows(name, counted), "counts": _counts(counted), "sample": shown})  # fmt: skip
    by_modality: dict[str, list[Mapping[str, object]]] = {}
    for one in subsets:
        by_modality.setdefault(str(one["modality"]), []).append(one)
    read = files("data_build.dataset").joinpath
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    style = read("stats.css").read_text(encoding="utf-8")
    return environment.from_string(read("stats.html.j2").read_text(encoding="utf-8")).render(
        subsets=subsets, modalities=by_modality.items(), seed=seed, refused=thumbnails.refused,
        style=Markup(style), style_hash=_csp(style),
        data_hash=dataset.hash, rows=sum(one.rows for one in stats.counted), manifest=dataset.manifest,
        translated=sum(one.translated for one in stats.counted), mark=mark, splits=SPLITS,
    )  # fmt: skip


def _shown(record: Record, thumbnails: Thumbnails) -> SampleRow:
    task = benchmark()[record.subset].task(record.task)
    words = task.text_in(record.prompt, record.emotion or "")
    return SampleRow(record, _cut(words or ""), _cut(record.prompt), thumbnails.of(record))


def _csp(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


def _cut(prompt: str) -> str:
    return prompt if len(prompt) <= MOST_TEXT else f"{prompt[:MOST_TEXT]} [{len(prompt) - MOST_TEXT} characters more]"


class Chart(NamedTuple):
    """A chart with its title, its unit and the rows of each split; `svg` is None if all values are equal."""

    svg: Markup | None
    title: str
    unit: str
    rows: dict[str, int]
    constant: str = ""


class ChartRow(NamedTuple):
    """The charts of one task, next to each other."""

    task: str
    charts: list[Chart]


def _rows(name: str, counted: Sequence[SplitCounts]) -> list[ChartRow]:
    """A row of charts for each task.

    Charts of languages and lengths cover the whole subset. They follow those of the only task with
    charts, or have their own row.
    """
    tasks = [ChartRow(f"{KINDS[task.kind]} ({task.key})", _golds(task, counted)) for task in benchmark()[name].tasks]
    own = [*_languages(counted), _lengths("length of the prompts", "characters", counted, "characters")]
    if any(any(one.vision_tokens) for one in counted):
        own.append(_lengths("size of pictures and clips", "vision tokens", counted, "vision_tokens"))
    shown = [row for row in tasks if row.charts]
    if len(shown) == 1:
        return [shown[0]._replace(charts=shown[0].charts + own)]
    return [*shown, ChartRow("all tasks", own)]


def _golds(task: Task, counted: Sequence[SplitCounts]) -> list[Chart]:
    """The gold answers of one task: labels and classes as columns, numbers as distributions; [] without rows."""
    if isinstance(task.grammar, Labels):
        counts = {one.split: one.labels for one in counted if one.labelled}
        rows = {one.split: one.labelled for one in counted if one.labelled}
        if not rows:
            return []
        names = [label for label, _ in ordered(sum(counts.values(), Counter[str]()))]
        several = " (a row may have several)" if task.grammar.most > 1 else ""
        return [Chart(columns("labels", counts, rows, names), f"gold labels{several}", "share of rows", rows)]
    found = []
    for part in dict.fromkeys(part for one in counted for kind, part in one.numbers if kind == task.kind):
        values = {one.split: of for one in counted if (of := one.numbers.get((task.kind, part)))}
        rows = {split: len(of) for split, of in values.items()}
        if isinstance(task.grammar, Ordinal):
            classes = [str(number) for number, _ in task.grammar.classes]
            counts = {split: Counter(f"{value:g}" for value in of) for split, of in values.items()}
            found.append(Chart(columns(part, counts, rows, classes), part or "gold classes", "share of rows", rows))
        else:
            unit = f"share of rows, by points from {_scale(task)}"
            found.append(Chart(lines(part, values), part or "gold numbers", unit, rows, _constant(values)))
    return found


def _scale(task: Task) -> str:
    """The ends of a numeric task's scale, as text."""
    assert isinstance(task.grammar, Number | Vad)
    return f"{task.grammar.low:g} to {task.grammar.high:g}"


def _languages(counted: Sequence[SplitCounts]) -> list[Chart]:
    every = sum((one.languages for one in counted), Counter[str]())
    if len(every) < 2:
        return []
    rows = {one.split: one.rows for one in counted}
    drawn = columns(
        "languages", {one.split: one.languages for one in counted}, rows, [name for name, _ in ordered(every)]
    )
    return [Chart(drawn, "languages", "share of rows", rows)]


def _lengths(title: str, unit: str, counted: Sequence[SplitCounts], column: str) -> Chart:
    values = {one.split: getattr(one, column) for one in counted}
    rows = {one.split: one.rows for one in counted}
    return Chart(lines(title, values), title, f"share of rows, by {unit}", rows, _constant(values, unit))


def _constant(values: Mapping[str, Sequence[float]], unit: str = "") -> str:
    """A text that replaces a chart whose values are all the same."""
    first = next((of[0] for of in values.values() if of), None)
    return f"every row: {first:g} {unit}".strip() if first is not None else "no rows"


def _counts(counted: Sequence[SplitCounts]) -> list[tuple[str, list[int]]]:
    """Rows of each label and language in every split: what the charts show as shares."""
    labels = [label for label, _ in ordered(sum((one.labels for one in counted), Counter[str]()))]
    spoken = [name for name, _ in ordered(sum((one.languages for one in counted), Counter[str]()))]
    return [(label, [one.labels[label] for one in counted]) for label in labels] + [
        (f"language {name}", [one.languages[name] for one in counted]) for name in spoken
    ]
