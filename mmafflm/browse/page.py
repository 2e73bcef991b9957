"""The page as HTML: filters, one page of records, the answers of runs. All text from the data is escaped."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import jinja2

from mmafflm.benchmark.benchmark import benchmark
from mmafflm.browse.files import medium
from mmafflm.browse.query import PAGE_ROWS, Page, Query, choose
from mmafflm.browse.table import RecordTable, Said
from mmafflm.errors import Fault
from mmafflm.records import Record, media_files

WAIT_MS = 500  # how long the page shows each frame of a clip


@dataclass(frozen=True)
class MediaView:
    """A picture or a clip, of one file or of `frames` frame files.

    The (first) file is at `address`/`first`: /media/ROW/FIRST. When it cannot be shown, `address` is empty and `note`
    says why.
    """

    name: str
    address: str = ""
    first: int = 0
    frames: int = 1
    clip: bool = False
    note: str = ""


@dataclass(frozen=True)
class RecordView:
    """One record as the page shows it.

    `text` is the text in the prompt: "" when the prompt has none, as for a picture alone; None when the wording is not
    the benchmark's.
    """

    row: int
    record: Record
    text: str | None
    seen: list[MediaView]
    answers: list[Said]


class QueryLink(NamedTuple):
    """A link to another query: its text, how many rows it shows, and whether the page already has this filter."""

    title: str
    address: str
    rows: int = 0
    chosen: bool = False


def page(table: RecordTable, query: Query) -> str:
    """The HTML of one page."""
    chosen = choose(table, query)
    shuffled = replace(query, shuffle=query.shuffle + 1, page=1)
    return _template().render(
        table=table,
        query=query,
        chosen=chosen,
        before=query.address(chosen.page - 1) if chosen.page > 1 else None,
        after=query.address(chosen.page + 1) if chosen.page < chosen.pages else None,
        shown=[show(table, row) for row in chosen.rows],
        span=_span(chosen),
        wait_ms=WAIT_MS,
        quick=list(_quick(table, query)),
        kept=list(_kept(table, query)),
        shuffled=shuffled.address(),
        ordered=replace(query, shuffle=0, page=1).address(),
    )


def _quick(table: RecordTable, query: Query) -> Iterator[tuple[str, list[QueryLink]]]:
    """Yield, for every run and for all runs together, a title and links to the wrong and the unparsed answers.

    The link of an active filter removes the filter. Links to no rows are left out.
    """
    for facet in table.facets:
        if facet.name == "any" or facet.name.startswith("run"):
            links = []
            for value in ("wrong", "unparsed"):
                chosen = query.values.get(facet.name) == value
                address = query.having(facet.name, "" if chosen else value).address()
                links.append(QueryLink(value, address, facet.values.get(value, 0), chosen))
            yield facet.title, [one for one in links if one.rows]


def _kept(table: RecordTable, query: Query) -> Iterator[QueryLink]:
    """Yield a link for each active filter; the link removes the filter."""
    titles = {facet.name: facet.title for facet in table.facets}
    for name, value in query.values.items():
        yield QueryLink(f"{titles[name]}: {value}", query.having(name, "").address())
    if query.text:
        yield QueryLink(f"text or answer holds: {query.text}", replace(query, text="", page=1).address())
    if query.id:
        yield QueryLink(f"id holds: {query.id}", replace(query, id="", page=1).address())


def show(table: RecordTable, row: int) -> RecordView:
    """What the page shows for a row."""
    record = table.record(row)
    task, emotion = benchmark()[record.subset].task(record.task), record.emotion or ""
    text = "" if record.prompt == task.ask("", emotion) else task.text_in(record.prompt, emotion)
    return RecordView(row, record, text, list(_seen(table, row, record)), table.answers(row))


def _seen(table: RecordTable, row: int, record: Record) -> Iterator[MediaView]:
    """Yield a record's pictures and clips. Of a clip stored as frames, only the first file is checked."""
    at = 0
    for names in [*([name] for name in record.images), *([one] if isinstance(one, str) else one
                                                         for one in record.videos)]:  # fmt: skip
        if names:
            try:
                clip = medium(table.root, names[0]).kind.startswith("video/")
                yield MediaView(names[0], f"/media/{row}", at, len(names), clip)
            except Fault as fault:
                yield MediaView(names[0], note=str(fault))
        at += len(names)


def file_of(table: RecordTable, row: int, place: int) -> str:
    """The name of file number `place` of the record in `row`. Raises Fault when there is no such row or file."""
    if row < table.rows.height and place < len(names := media_files(table.record(row))):
        return names[place]
    raise Fault(f"/media/{row}/{place}: no such picture, frame or clip")


def _span(chosen: Page) -> str:
    if not chosen.rows:
        return "none"
    first = (chosen.page - 1) * PAGE_ROWS + 1
    return f"{first:,} to {first + len(chosen.rows) - 1:,} of {chosen.found:,}"


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(asset), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    return environment.get_template("page.html.j2")


def asset(name: str) -> str:
    """The text of a file in this folder."""
    return files("mmafflm").joinpath("browse", name).read_text(encoding="utf-8")
