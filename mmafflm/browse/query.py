"""The query of a page, read from its address and written to it; and the rows that match it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode

import polars as pl

from mmafflm.browse.table import RecordTable

PAGE_ROWS = 20


@dataclass(frozen=True)
class Query:
    """The wanted value of each facet, a part of the id, and the page, counted from 1."""

    values: Mapping[str, str] = field(default_factory=dict)
    id: str = ""
    page: int = 1

    @classmethod
    def parse(cls, text: str, table: RecordTable) -> "Query":
        """Read the part of an address after "?". Names other than the table's facets, id and page are ignored."""
        said = dict(parse_qsl(text))
        names = {facet.name for facet in table.facets}
        number = said.get("page", "")
        page = int(number) if number.isascii() and number.isdigit() and len(number) < 10 else 1
        return cls({name: value for name, value in said.items() if name in names}, said.get("id", ""), max(1, page))

    def address(self, page: int) -> str:
        """The address of another page of the same query."""
        return "/?" + urlencode({**self.values, **({"id": self.id} if self.id else {}), "page": page})


class Page(NamedTuple):
    """`rows`: the numbers of at most PAGE_ROWS rows out of `found`; this is `page` of `pages`, counted from 1."""

    rows: list[int]
    found: int
    page: int
    pages: int


def choose(table: RecordTable, query: Query) -> Page:
    """The rows that have every wanted value, in the build's order. A page past the end gives the last page."""
    wanted = [_has(table.rows.schema[name], name, value) for name, value in query.values.items()]
    if query.id:
        wanted.append(pl.col("id").str.contains(query.id, literal=True))
    every = pl.all_horizontal(pl.lit(True), *wanted)
    rows = table.rows.lazy().filter(every).select("row").collect()["row"]
    pages = max(1, -(-len(rows) // PAGE_ROWS))
    page = min(query.page, pages)
    return Page(rows.slice((page - 1) * PAGE_ROWS, PAGE_ROWS).to_list(), len(rows), page, pages)


def _has(kind: pl.DataType, name: str, value: str) -> pl.Expr:
    column = pl.col(name)
    return column.list.contains(value) if isinstance(kind, pl.List) else column == value
