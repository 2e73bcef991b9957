"""index.html: one self-contained page with a small script that sorts and filters the tables."""

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from itertools import groupby
from typing import Any

import jinja2
from markupsafe import Markup

from eval.compare.compare_table import LEVEL
from eval.leaderboard.board import BoardCell, BoardView
from eval.leaderboard.entries import BoardEntry, accepts_text
from eval.leaderboard.printed import groups, times_100
from eval.score.figure import unparsed_text
from eval.score.permutation import LEAST_TESTED
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import Dataset
from mmafflm.run_file import installed

DOUBTFUL = 0.05  # a share of unparsed answers above this is always shown, as in a report
MODES = {
    "strict": "An answer that cannot be parsed counts as wrong.",
    "paper": "The published scorer with its quirks. Only these scores can be compared with the paper's.",
}


def page(views: Sequence[BoardView], notes: Sequence[str], entries: Sequence[BoardEntry], data: Dataset) -> str:
    """The HTML. All text from runs is escaped; the content security policy allows only this style and this script."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_file), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    style, script = _file("index.css"), _file("index.js")
    modes = [(mode, MODES[mode], [_table(view) for view in of]) for mode, of in groupby(views, lambda view: view.mode)]
    return environment.get_template("index.html.j2").render(
        style=Markup(style), style_hash=_csp(style), script=Markup(script), script_hash=_csp(script),
        generator=f"mmafflm {installed('mmafflm').get('mmafflm', 'of no version')}",
        task_words=_task_words(), modes=modes, notes=notes, entries=entries, data=data, level=LEVEL, least=LEAST_TESTED,
        groups=list(dict.fromkeys(accepts_text(row.accepts) for view in views for row in view.rows)),
        published=any(row.published for view in views for row in view.rows),
    )  # fmt: skip


def _file(name: str) -> str:
    return files("eval.leaderboard").joinpath(name).read_text(encoding="utf-8")


def _task_words() -> dict[str, str]:
    """What the task keys in the column heads mean. A subset with only one task shows no key."""
    several = [subset for subset in benchmark().values() if len(subset.tasks) > 1]
    return {task.key: task.kind.replace("_", " ") for subset in several for task in subset.tasks}


def _csp(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _table(view: BoardView) -> dict[str, Any]:
    """One table for the template."""
    columns = view.table.columns
    tops = [(top, len(list(of))) for top, of in groupby(columns, key=lambda column: column.top)]
    rows_of = [{cell.n for row in view.rows if (cell := row.cells[at]) and cell.n} for at in range(len(columns))]
    return {
        "key": f"{view.mode}-{view.table.key}",
        "title": view.table.title,
        "tests": view.tests,
        "tops": tops if columns[-1].language is None else [],
        "heads": [
            {"head": column.head, "hint": column.hint, "rows": _count(rows), "first": at in _starts(tops)}
            for at, (column, rows) in enumerate(zip(columns, rows_of, strict=True))
        ],
        "groups": [
            (title, [(row, [_cell(cell) for cell in row.cells]) for row in rows]) for title, rows in groups(view.rows)
        ],
    }


def _starts(tops: Sequence[tuple[str, int]]) -> set[int]:
    """The positions of the first column of each group with a common top heading, without the first group."""
    return {sum(width for _, width in tops[:at]) for at in range(1, len(tops))}


def _count(rows: set[int]) -> str:
    """The number of rows that the models answered, or the smallest and the largest number."""
    return "" if not rows else f"n {min(rows):,}" if len(rows) == 1 else f"n {min(rows):,} to {max(rows):,}"


def _cell(cell: BoardCell | None) -> dict[str, Any] | None:
    if cell is None:
        return None
    share = unparsed_text(cell.unparsed, cell.n) if cell.n and cell.unparsed is not None else ""
    more = [f"n {cell.n:,}", f"unparsed {share}"] if cell.n else []
    beside = {"parsed rows": cell.on_parsed, "classes with gold": cell.supported}
    more += [f"{name} {times_100(value)}" for name, value in beside.items() if value is not None]
    return {
        "value": times_100(cell.value),
        "interval": f"{times_100(cell.ends[0])} to {times_100(cell.ends[1])}" if cell.ends else "",
        "more": more + ([] if cell.p is None else [f"p {cell.p:.3f}"]),
        "doubtful": share if cell.n and cell.unparsed and cell.unparsed > DOUBTFUL * cell.n else "",
        "mark": "best" if cell.best else "tied" if cell.marked else "",
    }
