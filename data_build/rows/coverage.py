"""How much of a corpus is kept: rows that cannot be used, and subsets and splits of which nothing is left.

A stray row that cannot be used goes to the quarantine. A whole file, class or subset of them is a Fault: whoever
builds would otherwise go on with a benchmark of which a part is missing.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import polars as pl

from data_build.reading.corpus import Part, Rows
from mmafflm.benchmark.benchmark import Subset
from mmafflm.errors import Fault
from mmafflm.records import SPLITS

FIX = "Put back the corpus's own files, or take this part of them out to build without it."
STRAY, STRAY_SHARE = 2, 0.01  # at most so many rows, or so much of a part's, have an unknown label by accident


class First(NamedTuple):
    """The first of some rows that are not kept, and why."""

    source: str
    reason: str
    detail: str

    @property
    def is_absent(self) -> bool:
        """Whether its picture or clip was not put down: whoever has downloaded one split alone may build it."""
        return " is missing" in self.reason

    def __str__(self) -> str:
        return f"the first, {self.source}: {self.reason}" + (f" ({self.detail})" if self.detail else "")


@dataclass
class PartCount:
    """Counts the rows of one part while it is read, for `check`."""

    corpus: str
    part: Part
    subsets: list[str]
    usable: Counter[str] = field(default_factory=Counter)
    bad: Counter[str | None] = field(default_factory=Counter)
    first: dict[str | None, First] = field(default_factory=dict)
    unknown: dict[tuple[str | None, str], list[str]] = field(default_factory=dict)  # -> sources

    def add(self, rows: Rows) -> Rows:
        """The rows of the chosen subsets alone, the unusable ones with subset and split as far as the part says."""
        only = self.subsets[0] if len(self.subsets) == 1 else None
        examples = rows.examples.filter(pl.col("subset").is_in(self.subsets))
        bad = rows.bad.with_columns(
            subset=pl.coalesce("subset", pl.lit(self.part.subset or only, pl.String)),
            split=pl.coalesce("split", pl.lit(self.part.about.get("split", ""), pl.String)),
        ).filter(pl.col("subset").is_null() | pl.col("subset").is_in(self.subsets))
        self.usable.update(dict(examples.group_by("subset").len().iter_rows()))
        self.bad.update(dict(bad.group_by("subset").len().iter_rows()))
        firsts = bad.unique("subset", keep="first", maintain_order=True)
        for subset, *why in firsts.select("subset", *First._fields).iter_rows():
            self.first.setdefault(subset, First(*why))
        strange = bad.filter(pl.col("unknown").is_not_null())
        for subset, unknown, source in strange.select("subset", "unknown", "source").iter_rows():
            self.unknown.setdefault((subset, unknown), []).append(source)
        return Rows(examples, bad)

    def check(self) -> None:
        """Raises Fault when no row of a subset can be used, or a whole class is one that the reader does not know."""
        for subset, bad in self.bad.items():
            if not (self.usable[subset] if subset else self.usable) and not self.first[subset].is_absent:
                raise Fault(
                    f"{self.corpus}: none of {bad:,} rows{f' of {subset}' if subset else ''} in {self.part.name} can "
                    f"be used; {self.first[subset]}. {FIX}"
                )
        for (subset, unknown), sources in sorted(self.unknown.items(), key=lambda item: -len(item[1])):
            rows = self.bad[subset] + (self.usable[subset] if subset else sum(self.usable.values()))
            if len(sources) > max(STRAY, STRAY_SHARE * rows):
                raise Fault(
                    f"{self.corpus}: {len(sources):,} of {rows:,} rows in {self.part.name} have {unknown!r}, which is "
                    f"unknown here; the first, {sources[0]}. {FIX}"
                )


@dataclass
class Kept:
    """What became of the rows of a corpus, by subset and split (None: the build draws it, "": the row does not say)."""

    rows: Mapping[str, Mapping[str, int]]
    lost: dict[tuple[str | None, str | None], First] = field(default_factory=dict)  # not to a cap
    capped: set[tuple[str | None, str | None]] = field(default_factory=set)
    tasks: dict[tuple[str, str], set[str]] = field(default_factory=dict)  # keys of tasks that have rows

    def lose(self, subset: str | None, split: str | None, first: First) -> None:
        """Note a row that is not kept, for another reason than a cap."""
        self.lost.setdefault((subset, split), first)

    def check(self, corpus: str, subsets: list[str]) -> None:
        """Raises Fault when nothing is kept of the corpus, or nothing of a subset of which rows were read.

        A split of which nothing is kept is no Fault, `line` says so: its clips may still have to be downloaded.
        """
        for subset in subsets:
            capped = any(name == subset for name, _ in self.capped)
            first = next((one for (name, _), one in self.lost.items() if name == subset), None)
            if first and not capped and not sum(self.rows.get(subset, {}).values()):
                raise Fault(f"{corpus}: nothing is kept of {subset}; {first}. {FIX}")
        if not self.capped and not sum(sum(of.values()) for of in self.rows.values()):
            raise Fault(f"{corpus}: nothing is kept of it; its files hold no rows. {FIX}")


def line(subset: Subset, kept: Kept, languages: Mapping[str, Counter[str]], expected: Mapping[str, int]) -> str:
    """What a build says of a subset: the rows of each split, of how many as far as that is known, what is missing."""
    of = kept.rows.get(subset.name, {})
    told = []
    for split in SPLITS:
        rows = of.get(split, 0)
        most = expected.get(f"{subset.name} {split}", subset.test_rows if split == "test" and expected else None)
        gone = [
            task.key for task in subset.tasks if rows and task.key not in kept.tasks.get((subset.name, split), set())
        ]
        first = kept.lost.get((subset.name, split)) if not rows else None
        told.append(
            f"{split}: {rows:,}{f' of {most:,}' if most else ''} rows"
            + (f" (none of {', '.join(gone)})" if gone else "")
            + (f" ({first.reason})" if first else "")
        )
    found = {code for split in languages.values() for code in split}
    absent = [code for code in subset.languages if code not in found]
    missing = f"; none in {', '.join(absent)}" if found and absent else ""
    return f"{subset.name}: {', '.join(told)}{missing}"
