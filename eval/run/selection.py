"""Which records a run answers. `predict` and every reader of its answers must agree, so only this file decides it."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from mmafflm.records import Record
from mmafflm.sampling import sample


def split_of(described: dict[str, Any]) -> str:
    """The split that a run answers, from its run.json: test, or val (which `mmafflm train` uses while it trains)."""
    return str(described.get("split", "test"))


class Selection(NamedTuple):
    """Which records of a subset a run answers: a sample of at most `limit` of those in `languages`."""

    limit: int | None = None  # None: all
    languages: tuple[str, ...] | None = None  # codes, as in the records; None: all

    @classmethod
    def of_run(cls, described: Mapping[str, Any]) -> "Selection":
        """The selection of a run, from its run.json."""
        languages = described.get("languages")
        return cls(described.get("limit"), None if languages is None else tuple(languages))

    def of(self, records: Iterable[Record]) -> list[Record]:
        """The chosen records of a subset, in record order."""
        return sample(self.in_languages(records), self.limit)

    def in_languages(self, records: Iterable[Record]) -> list[Record]:
        """The records in the chosen languages, in record order, from which `of` samples."""
        return [one for one in records if self.languages is None or one.language in self.languages]

    def to_json(self) -> dict[str, Any]:
        """The selection's two entries in run.json."""
        return {"limit": self.limit, "languages": None if self.languages is None else list(self.languages)}

    def __str__(self) -> str:
        """An addition to titles, such as ", a sample of at most 5 rows a subset"; "" when all records are selected."""
        rows = f", a sample of at most {self.limit} rows a subset" if self.limit is not None else ""
        return rows + (f", {', '.join(self.languages)} only" if self.languages is not None else "")
