"""Which records a limited run asks. `predict` and `score` must agree on it, so it stands here once."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from mmafflm.records import Record


def split_of(described: dict[str, Any]) -> str:
    """The split that a run answers, by its run.json: test, or val (what `mmafflm train` asks while it trains)."""
    return str(described.get("split", "test"))


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
