"""`mmaffin stats`: count what a build holds in one pass over its records, and draw a sample of its rows."""

from bisect import insort
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

import numpy as np
import polars as pl

from data_build.twins import twin_of
from mmafflm.dataset import Dataset, split_file
from mmafflm.records import Record
from mmafflm.sampling import shuffle_key

SAMPLE = 6  # rows shown of each subset
SEED = 2505


@dataclass
class SplitCounts:
    """One split of one subset. `numbers` holds the golds that are numbers, by (task, emotion or dimension)."""

    subset: str
    split: str
    rows: int = 0
    translated: int = 0
    languages: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    labelled: int = 0  # rows whose gold is labels; the gold of the subset's other rows is a number
    numbers: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    characters: list[int] = field(default_factory=list)  # of the prompts
    vision_tokens: list[int] = field(default_factory=list)  # of pictures and clips

    def add(self, record: Record) -> None:
        """Count one record."""
        self.rows += 1
        self.translated += record.translated_from is not None
        self.languages[record.language] += 1
        self.characters.append(len(record.prompt))
        if isinstance(record.gold, list):
            self.labels.update(map(str, record.gold))
            self.labelled += 1
            return
        golds = record.gold if isinstance(record.gold, dict) else {record.emotion or "": record.gold}
        for name, value in golds.items():
            self.numbers.setdefault((record.task, name), []).append(float(value))


@dataclass(frozen=True)
class Stats:
    """The counts of all splits, in the manifest's order, and a seeded sample of each subset."""

    counted: list[SplitCounts]
    sample: dict[str, list[Record]]


def count(dataset: Dataset, seed: int = SEED, sample: int = SAMPLE) -> Stats:
    """Count every split and draw the sample. Raises Fault when a file differs from the manifest."""
    dataset.require_unchanged(dataset.split_files())
    counted, picked = [], {}
    for subset, splits in dataset.manifest["subsets"].items():
        drawn: list[tuple[bytes, Record]] = []
        for split in splits:
            one = SplitCounts(subset, split)
            for record in dataset.records(subset, split):
                one.add(record)
                place = shuffle_key(seed, record.id)
                if len(drawn) < sample or place < drawn[-1][0]:
                    insort(drawn, (place, record), key=itemgetter(0))
                    del drawn[sample:]
            twin = twin_of(dataset.path / "mmaffin", dataset.path / split_file(subset, split))
            one.vision_tokens = pl.read_parquet(twin, columns=["vision_tokens"])["vision_tokens"].to_list()
            counted.append(one)
        picked[subset] = [record for _, record in drawn]
    return Stats(counted, picked)


def tables(counted: Sequence[SplitCounts]) -> str:
    """The counts as Markdown tables: sizes and lengths, then labels and numbers, then languages."""
    return "\n".join([*_sizes(counted), "", *_golds(counted), "", *_languages(counted), ""])


def spread(values: Sequence[float]) -> str:
    """Median, 95th percentile and maximum, as text."""
    return " / ".join(f"{value:,.0f}" for value in np.quantile(values, [0.5, 0.95, 1.0])) if values else ""


def _sizes(counted: Sequence[SplitCounts]) -> Iterator[str]:
    yield "| subset | split | rows | translated | languages | characters of the prompt: median / 95% / maximum | "\
        "vision tokens: median / 95% / maximum |"  # fmt: skip
    yield "|---|---|---:|---:|---:|---:|---:|"
    for one in counted:
        vision = spread(one.vision_tokens) if any(one.vision_tokens) else ""
        yield f"| {one.subset} | {one.split} | {one.rows} | {one.translated} | {len(one.languages)} | " \
            f"{spread(one.characters)} | {vision} |"  # fmt: skip
    yield f"| all | | {sum(one.rows for one in counted)} | {sum(one.translated for one in counted)} | | | |"


def _golds(counted: Sequence[SplitCounts]) -> Iterator[str]:
    yield "| subset | split | gold |"
    yield "|---|---|---|"
    for one in counted:
        labels = [f"{label} {rows} ({rows / one.labelled:.1%})" for label, rows in ordered(one.labels)]
        numbers = [
            f"{task.replace('_', ' ')} {part}".strip()
            + f": {len(values)} rows, mean {np.mean(values):.3f}, from {min(values):g} to {max(values):g}"
            for (task, part), values in one.numbers.items()
        ]
        for said in filter(None, (", ".join(labels), *numbers)):
            yield f"| {one.subset} | {one.split} | {said} |"


def _languages(counted: Sequence[SplitCounts]) -> Iterator[str]:
    yield "| subset | split | rows of each language |"
    yield "|---|---|---|"
    for one in counted:
        yield f"| {one.subset} | {one.split} | {', '.join(f'{name} {rows}' for name, rows in ordered(one.languages))} |"


def ordered(counts: Counter[str]) -> list[tuple[str, int]]:
    """Sort by frequency, highest first; equal counts by name."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
