"""Scores as a table for a person: on the terminal, and as Markdown."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from eval.selection import Selection
from mmafflm.benchmark import Task, benchmark, paper_scores

PUBLISHED = ("MMAFFLM-7b", "MMAFFLM-3b", "qwen2.5-vl-7b")
_COLUMNS = ("subset", "task", "metric", "value", "95% interval", "n", "unparsed", "majority")


class Section(NamedTuple):
    """One table: a title, the heads of its columns and its rows, all as text."""

    title: str
    heads: tuple[str, ...]
    rows: list[tuple[str, ...]]


def sections(scores: Mapping[str, Any]) -> list[Section]:
    """The tables of a scores.MODE.json: all tasks, then the languages of each subset that has several.

    Values are fractions. The paper's figures stand beside ours in paper mode only: strict scores do not compare.
    """
    readout = scores.get("readout", "greedy")
    rows = [_row(task, found, readout) for task, found in _tasks(scores)]
    tables = [Section(f"MMAFFBen, {scores['mode']} mode, readout {readout}{Selection.of_run(scores)}", _COLUMNS, rows)]
    for subset, found in scores["subsets"].items():
        if "by_language" in found:
            read = found.get("readout", readout)
            tables.append(_languages(subset, found["by_language"], scores["mode"] == "paper", read))
    return tables


def notes(scores: Mapping[str, Any]) -> list[str]:
    """What the scores say about themselves, a line each."""
    return [f"{task.name}: {note}" for task, found in _tasks(scores) for note in found.get("notes", ())]


def print_table(scores: Mapping[str, Any], console: Console | None = None) -> None:
    """Write the tables to the terminal (standard output)."""
    console = console or Console()
    for title, heads, rows in sections(scores):
        table = Table(title=title, title_justify="left")
        for at, head in enumerate(heads):
            numeric = head not in ("subset", "task", "metric", "language")
            table.add_column(head, justify="right" if numeric else "left", no_wrap=at == 0)
        for row in rows:
            table.add_row(*row)
        console.print(table)
    for note in notes(scores):
        console.print(f"note: {note}", markup=False)


def markdown_table(scores: Mapping[str, Any]) -> str:
    """The same tables in Markdown."""
    parts = []
    for title, heads, rows in sections(scores):
        lines = ["| " + " | ".join(cells) + " |" for cells in (heads, ("---",) * len(heads), *rows)]
        parts.append(f"**{title}**\n\n" + "\n".join(lines))
    if said := notes(scores):
        parts.append("\n".join(f"- {note}" for note in said))
    return "\n\n".join(parts) + "\n"


def _tasks(scores: Mapping[str, Any]) -> Iterator[tuple[Task, Mapping[str, Any]]]:
    """Every task with its scores."""
    for subset, found in scores["subsets"].items():
        for key, one in found.get("tasks", {benchmark()[subset].tasks[0].key: found}).items():
            yield benchmark()[subset].task(key), one


def _row(task: Task, found: Mapping[str, Any], readout: str) -> tuple[str, ...]:
    """One task; its own readout stands beside it where it is not the run's."""
    metric = task.main_metric
    values = _values(metric, found)
    own, key = found.get("readout", readout), task.name.removeprefix(task.subset).lstrip()
    return (
        task.subset,
        key if own == readout else f"{key} ({own})".lstrip(),
        metric,
        *values,
        _fraction(found["majority"].get(metric)),
    )


def _values(metric: str, found: Mapping[str, Any]) -> tuple[str, str, str, str]:
    ends = found["ci95"].get(metric)
    interval = f"[{ends[0]:.3f}, {ends[1]:.3f}]" if ends else "-"
    unparsed = f"{found['unparsed'] / found['n']:.1%}"
    return _fraction(found["metrics"][metric]), interval, str(found["n"]), unparsed


def _fraction(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _languages(subset: str, found: Mapping[str, Mapping[str, Any]], paper: bool, readout: str) -> Section:
    published = PUBLISHED if paper and any(name == subset for name, _ in paper_scores()) else ()
    rows = []
    for language, one in found.items():
        theirs = paper_scores().get((subset, language), {})
        figures = (_fraction(theirs.get(model)) for model in published)
        rows.append((language, *_values(benchmark()[subset].tasks[0].main_metric, one), *figures))
    return Section(
        f"{subset} by language, readout {readout}, macro_f1" + (" (beside it the paper's)" if published else ""),
        ("language", "value", "95% interval", "n", "unparsed", *published),
        rows,
    )
