"""Check how much of a corpus is kept: rows that cannot be used, and subsets and splits that become empty.

A stray row that cannot be used goes to the quarantine. If a whole file, class or subset cannot be used, that is a
Fault: otherwise the user would continue with a benchmark that lacks a part.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import polars as pl

from data_build.reading.corpus import PartRows, RawPart
from mmafflm.benchmark.benchmark import Subset
from mmafflm.errors import Fault
from mmafflm.records import SPLITS

FIX = "Put back the corpus's own files, or remove the bad ones to build without them."
STRAY, STRAY_SHARE = 2, 0.01  # this many rows, or this share of a part's rows, may have the same unknown label


class First(NamedTuple):
    """The first of several rows that were not kept, and why."""

    source: str
    reason: str
    detail: str

    @property
    def is_absent(self) -> bool:
        """Whether the row's picture or clip is missing. This is allowed: a user may have downloaded only one split."""
        return " is missing" in self.reason

    def __str__(self) -> str:
        return f"the first, {self.source}: {self.reason}" + (f" ({self.detail})" if self.detail else "")


@dataclass
class PartCount:
    """Counts the rows of one part while it is read; `check` raises Fault when too few can be used."""

    corpus: str
    part: RawPart
    subsets: list[str]
    usable: Counter[str] = field(default_factory=Counter)
    bad: Counter[str | None] = field(default_factory=Counter)
    first: dict[str | None, First] = field(default_factory=dict)
    unknown: dict[tuple[str | None, str], list[str]] = field(default_factory=dict)  # (subset, unknown value) -> sources

    def add(self, rows: PartRows) -> PartRows:
        """Count the rows; return those of the chosen subsets. Unusable rows without subset or split get the part's."""
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
        return PartRows(examples, bad)

    def check(self) -> None:
        """Raises Fault when no row of a subset can be used, or many rows have the same value unknown to the reader.

        A subset without usable rows is accepted if its first unusable row only lacks its picture or clip."""
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
                    f"{self.corpus}: {len(sources):,} of {rows:,} rows in {self.part.name} have {unknown!r}, which "
                    f"the reader does not know; the first is {sources[0]}. {FIX}"
                )


@dataclass
class Kept:
    """How many rows of a corpus are kept, and why others are not, by subset and split.

    Split None: the build has not drawn it yet; "": the raw row does not state it.
    """

    rows: Mapping[str, Mapping[str, int]]
    lost: dict[tuple[str | None, str | None], First] = field(
        default_factory=dict
    )  # the first row that was dropped, except by a cap (the config's maximum of rows in a split)
    capped: set[tuple[str | None, str | None]] = field(default_factory=set)
    tasks: dict[tuple[str, str], set[str]] = field(default_factory=dict)  # keys of tasks that have rows

    def lose(self, subset: str | None, split: str | None, first: First) -> None:
        """Record why a row was dropped, if it is the first of its subset and split. Not called for rows over a cap."""
        self.lost.setdefault((subset, split), first)

    def check(self, corpus: str, subsets: list[str]) -> None:
        """Raises Fault when a subset lost all its rows, or no row of the corpus is kept, unless a cap dropped some.

        A split without kept rows is accepted, because its clips may still have to be downloaded; `line` reports it.
        """
        for subset in subsets:
            capped = any(name == subset for name, _ in self.capped)
            first = next((one for (name, _), one in self.lost.items() if name == subset), None)
            if first and not capped and not sum(self.rows.get(subset, {}).values()):
                raise Fault(f"{corpus}: no row of {subset} is kept; {first}. {FIX}")
        if not self.capped and not sum(sum(of.values()) for of in self.rows.values()):
            raise Fault(f"{corpus}: no row is kept, and no row of a subset was found. {FIX}")


def line(subset: Subset, kept: Kept, languages: Mapping[str, Counter[str]], expected: Mapping[str, int]) -> str:
    """The line that a build prints for a subset.

    It has the rows of each split, the expected number if known, and the tasks and languages that have no rows.
    """
    of = kept.rows.get(subset.name, {})
    splits = []
    for split in SPLITS:
        rows = of.get(split, 0)
        most = expected.get(f"{subset.name} {split}", subset.test_rows if split == "test" and expected else None)
        rowless = [
            task.key for task in subset.tasks if rows and task.key not in kept.tasks.get((subset.name, split), set())
        ]
        first = kept.lost.get((subset.name, split)) if not rows else None
        splits.append(
            f"{split}: {rows:,}{f' of {most:,}' if most else ''} rows"
            + (f" (none of {', '.join(rowless)})" if rowless else "")
            + (f" ({first.reason})" if first else "")
        )
    found = {code for split in languages.values() for code in split}
    absent = [code for code in subset.languages if code not in found]
    missing = f"; none in {', '.join(absent)}" if found and absent else ""
    return f"{subset.name}: {', '.join(splits)}{missing}"
