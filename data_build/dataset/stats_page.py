"""The page of `mmaffin stats --out`: plots of a build, and rows of each subset as a person would see them.

The page is one file that loads nothing: figures are inline SVG, pictures are re-encoded within a size budget, all text
from the data is escaped, and a Content-Security-Policy allows the page's own style and no script.
"""

import base64
import hashlib
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, NamedTuple

import jinja2
import numpy as np
from markupsafe import Markup

from data_build.dataset.stats import SEED, SplitCounts, Stats, ordered
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import Dataset
from mmafflm.media.thumbnails import Picture, Thumbnails
from mmafflm.records import Record
from mmafflm.svg import figure, line, text

MOST_TEXT = 2000  # characters shown of a prompt
PICTURES = 1_500_000  # characters that pictures may take in the page
BINS = 20
_LANE, _BAR = 15.0, 150.0


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
                        "figures": _figures(counted), "sample": shown})  # fmt: skip
    read = files("data_build.dataset").joinpath
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    style = read("stats.css").read_text(encoding="utf-8")
    return environment.from_string(read("stats.html.j2").read_text(encoding="utf-8")).render(
        subsets=subsets, seed=seed, refused=thumbnails.refused, style=Markup(style), style_hash=_csp(style),
        data_hash=dataset.hash, rows=sum(one.rows for one in stats.counted), manifest=dataset.manifest,
        translated=sum(one.translated for one in stats.counted),
    )  # fmt: skip


def _shown(record: Record, thumbnails: Thumbnails) -> SampleRow:
    task = benchmark()[record.subset].task(record.task)
    words = task.text_in(record.prompt, record.emotion or "")
    return SampleRow(record, _cut(words or ""), _cut(record.prompt), thumbnails.of(record))


def _csp(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


def _cut(prompt: str) -> str:
    return prompt if len(prompt) <= MOST_TEXT else f"{prompt[:MOST_TEXT]} [{len(prompt) - MOST_TEXT} characters more]"


def _figures(counted: Sequence[SplitCounts]) -> list[dict[str, Any]]:
    """Labels, numbers and languages of each split, and prompt lengths and vision tokens of all splits together."""
    found = []
    for one in counted:
        if one.labels:
            found.append(
                (f"labels, {one.split}", bars(f"labels of {one.subset} {one.split}", one.labels, one.labelled))
            )
        for name, values in one.numbers.items():
            found.append((f"{name}, {one.split}", histogram(f"{name} of {one.subset} {one.split}", values)))
        if len(one.languages) > 1:
            drawn = bars(f"languages of {one.subset} {one.split}", one.languages, one.rows)
            found.append((f"languages, {one.split}", drawn))
    lengths = [length for one in counted for length in one.characters]
    found.append(("characters of the prompts, all splits", histogram("characters of the prompts", lengths)))
    tokens = [tokens for one in counted for tokens in one.vision_tokens]
    if any(tokens):
        found.append(("vision tokens, all splits", histogram("vision tokens", tokens)))
    return [{"caption": caption, "svg": svg} for caption, svg in found]


def bars(title: str, counts: Counter[str], rows: int) -> Markup:
    """A lane for each name, the most frequent first: a bar, the number of rows, and their share of all `rows`."""
    most, left = max(counts.values()), 8 + 6.0 * max(map(len, counts))
    body = []
    for at, (name, count) in enumerate(ordered(counts)):
        y = _LANE * at
        body.append(text(left - 4, y + 11, name, "end"))
        body.append(_box(left, y + 2, max(1.0, _BAR * count / most), _LANE - 4))
        body.append(text(left + _BAR + 4, y + 11, f"{count:,} {count / rows:.1%}"))
    return figure(left + _BAR + 80, _LANE * len(counts) + 2, f"{title}: rows and their share", body)


def histogram(title: str, values: Sequence[float]) -> Markup:
    """BINS bars from the smallest to the largest value."""
    counts, edges = np.histogram(values, BINS)
    left, top, width, height = 34.0, 6.0, 220.0, 90.0
    step, most = width / BINS, max(int(counts.max()), 1)
    body = [line("axis", left, top + height, left + width, top + height)]
    for at, count in enumerate(counts.tolist()):
        if count:
            tall = max(0.7, height * count / most)
            body.append(_box(left + step * at + 0.5, top + height - tall, step - 1, tall))
    for share, value in ((0.0, edges[0]), (0.5, edges[BINS // 2]), (1.0, edges[-1])):
        body.append(text(left + width * share, top + height + 12, f"{value:.4g}", "middle"))
    body.append(text(left - 3, top + 9, f"{most:,}", "end"))
    return figure(left + width + 20, top + height + 18, f"{title}, {len(values)} values", body)


def _box(x: float, y: float, width: float, height: float) -> Markup:
    return Markup('<path class="bar" d="M{:.4g} {:.4g}h{:.4g}v{:.4g}h{:.4g}z"/>').format(x, y, width, height, -width)
