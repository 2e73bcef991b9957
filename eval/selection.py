"""Which records a run asks. `predict` and all that read its answers must agree on it, so it stands here once."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from mmafflm.records import Record


def split_of(described: dict[str, Any]) -> str:
    """The split that a run answers, by its run.json: test, or val (what `mmafflm train` asks while it trains)."""
    return str(described.get("split", "test"))


class Selection(NamedTuple):
    """Which records of a subset a run asks: of some languages (None: all), at most `limit` of these (None: all)."""

    limit: int | None = None
    languages: tuple[str, ...] | None = None  # as records have them

    @classmethod
    def of_run(cls, described: Mapping[str, Any]) -> "Selection":
        """That of a run, by its run.json."""
        languages = described.get("languages")
        return cls(described.get("limit"), None if languages is None else tuple(languages))

    def of(self, records: Iterable[Record]) -> list[Record]:
        """The chosen ones of a subset's records, in record order."""
        spoken = [one for one in records if self.languages is None or one.language in self.languages]
        return first_of(spoken, self.limit)

    def to_json(self) -> dict[str, Any]:
        """As it stands in run.json."""
        return {"limit": self.limit, "languages": None if self.languages is None else list(self.languages)}

    def __str__(self) -> str:
        """Said behind a title; empty when all records are asked."""
        rows = f", at most {self.limit} rows a subset" if self.limit is not None else ""
        return rows + (f", {', '.join(self.languages)} only" if self.languages is not None else "")


def first_of(records: Sequence[Record], limit: int | None) -> list[Record]:
    """At most `limit` of one subset's records, in record order; all when limit is None.

    Taken round-robin over the groups (task, emotion, language), each in record order, so that every task and
    language is there: 500 of XED's 12,500 are 20 a language. The same records and limit give the same choice.
    """
    if limit is None or limit >= len(records):
        return list(records)
    groups: dict[tuple[str, str | None, str], list[int]] = {}
    for position, record in enumerate(records):
        groups.setdefault((record.task, record.emotion, record.language), []).append(position)
    in_turn = (position for turn in zip_longest(*groups.values()) for position in turn if position is not None)
    chosen = sorted(position for position, _ in zip(in_turn, range(limit), strict=False))
    return [records[position] for position in chosen]
