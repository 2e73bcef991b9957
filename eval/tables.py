"""Show sections (title, heads, rows) and sentences on the terminal or as Markdown."""

from collections.abc import Sequence
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

_WORDS = {
    "subset",
    "task",
    "language",
    "metric",
    "kind",
    "check",
    "part",
    "verdict",
    "group",
    "over",
    "missing",
    "modality",
}
_PIPED = 180


class Section(NamedTuple):
    """One table: a title, the heads of its columns and its rows, all as text."""

    title: str
    heads: tuple[str, ...]
    rows: list[tuple[str, ...]]


def show(sections: Sequence[Section], sentences: Sequence[str], as_markdown: bool) -> None:
    """Print sections and sentences to standard output, as Markdown or as tables."""
    if as_markdown:
        print(markdown(sections, sentences))
    else:
        print_sections(sections, sentences)


def print_sections(sections: Sequence[Section], sentences: Sequence[str], console: Console | None = None) -> None:
    """Print sections and sentences as tables to the terminal (standard output)."""
    console = console or Console()
    if not console.is_terminal:
        console.width = max(console.width, _PIPED)  # a file or a pipe has no width, and rich would cut at 80
    for title, heads, rows in sections:
        table = Table(title=title, title_justify="left")
        for at, head in enumerate(heads):
            named = head in _WORDS
            table.add_column(head, justify="left" if named else "right", no_wrap=at == 0 or not named)
        for row in rows:
            table.add_row(*row)
        console.print(table)
    for sentence in sentences:
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)


def markdown(sections: Sequence[Section], sentences: Sequence[str]) -> str:
    """The sections and sentences as Markdown."""
    parts = []
    for title, heads, rows in sections:
        lines = ["| " + " | ".join(cells) + " |" for cells in (heads, ("---",) * len(heads), *rows)]
        parts.append(f"**{title}**\n\n" + "\n".join(lines))
    if sentences:
        parts.append("\n".join(f"- {sentence}" for sentence in sentences))
    return "\n\n".join(parts) + "\n"


def fraction(value: float | None, signed: bool = False) -> str:
    """A value for a table cell; a dash for None."""
    return "-" if value is None else f"{round(value, 3) + 0.0:{'+' if signed else ''}.3f}"  # no -0.000


def interval_text(ends: Sequence[float] | None, signed: bool = False) -> str:
    """A 95% interval for a table cell; a dash for None."""
    return "-" if ends is None else f"[{fraction(ends[0], signed)}, {fraction(ends[1], signed)}]"
