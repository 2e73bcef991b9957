"""The query of a page, read from the page's address and written to links; and the rows that match the query."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode

import polars as pl

from mmafflm.browse.table import RecordTable

PAGE_ROWS = 20


@dataclass(frozen=True)
class Query:
    """The wanted value of each facet, a part of the text or of an answer, a part of the id, the order, and the page.

    shuffle: 0 for the build's order, else the seed of a random order. Pages are counted from 1.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    id: str = ""
    shuffle: int = 0
    page: int = 1

    @classmethod
    def parse(cls, text: str, table: RecordTable) -> "Query":
        """Read the part of an address after "?". Parameters that are neither facets nor fields of Query are ignored."""
        said = dict(parse_qsl(text))
        names = {facet.name for facet in table.facets}
        values = {name: value for name, value in said.items() if name in names}
        page, shuffle = _number(said.get("page", ""), 1), _number(said.get("shuffle", ""), 0)
        return cls(values, said.get("text", ""), said.get("id", ""), shuffle, max(1, page))

    def address(self, page: int = 1) -> str:
        """The address of a page of this query."""
        own = {"text": self.text, "id": self.id, "shuffle": self.shuffle}
        return "/?" + urlencode({**self.values, **{name: one for name, one in own.items() if one}, "page": page})

    def having(self, name: str, value: str) -> "Query":
        """The first page of the same query with another value of one facet; "" for any value."""
        others = {facet: one for facet, one in self.values.items() if facet != name}
        return replace(self, values=others | ({name: value} if value else {}), page=1)


def _number(text: str, otherwise: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else otherwise


class Page(NamedTuple):
    """`rows`: the numbers of at most PAGE_ROWS rows out of `found`; this is `page` of `pages`, counted from 1."""

    rows: list[int]
    found: int
    page: int
    pages: int


def choose(table: RecordTable, query: Query) -> Page:
    """The rows that match all filters of the query. For a page number past the end, this is the last page.

    Raises Fault when the texts of records have to be searched and a file has changed.
    """
    wanted = [_has(table.rows.schema[name], name, value) for name, value in query.values.items()]
    if query.id:
        wanted.append(pl.col("id").str.contains(query.id, literal=True))
    if query.text:
        wanted.append(_holds(table, query.text.lower()))
    every = pl.all_horizontal(pl.lit(True), *wanted)
    found = table.rows.lazy().filter(every).select("row")
    if query.shuffle:
        found = found.sort(pl.col("row").hash(query.shuffle))
    rows = found.collect()["row"]
    pages = max(1, -(-len(rows) // PAGE_ROWS))
    page = min(query.page, pages)
    return Page(rows.slice((page - 1) * PAGE_ROWS, PAGE_ROWS).to_list(), len(rows), page, pages)


def _holds(table: RecordTable, text: str) -> pl.Expr:
    """Whether the record's text, its gold answer or any run's answer contains `text`, which is in lower case."""
    answers = [pl.col(f"said{at}").str.to_lowercase().fill_null("") for at in range(len(table.runs))]
    read = pl.lit(table.lowered).str.contains(text, literal=True)
    return pl.any_horizontal(read, *(one.str.contains(text, literal=True) for one in answers))


def _has(kind: pl.DataType, name: str, value: str) -> pl.Expr:
    column = pl.col(name)
    return column.list.contains(value) if isinstance(kind, pl.List) else column == value
