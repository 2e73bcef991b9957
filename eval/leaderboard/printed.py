"""The leaderboard's tables as CSV (a line for each score), Markdown and LaTeX (at most 12 columns in a table)."""

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise

from eval.leaderboard.board import BoardCell, BoardRow, BoardView
from eval.leaderboard.columns import BoardTable, Column
from eval.leaderboard.entries import accepts_text
from eval.report.paper_form import plain, tex
from eval.score.figure import DASH, unparsed_text

MOST_COLUMNS = 12  # of a LaTeX table, including the column of the model's name
LEGEND = (
    "Scores are multiplied by 100; those of runs have 95% intervals. * in Markdown and bold in LaTeX mark the best run "
    "of a column and every run that a paired permutation test cannot tell from it (p is at least 0.05 after Holm's "
    "correction for all tests of the table, or the two have fewer than 50 rows in common, too few for a test). "
    "Rows of one dialogue, film, picture or tweet are swapped together. A dash means that there is no score."
)
_HEADS = (
    "mode", "table", "model", "published", "accepts", "about", "subset", "task", "language", "metric", "value", "low",
    "high", "n", "unparsed", "best", "not_told_from_best", "p_holm",
    "on_parsed", "supported",
)  # fmt: skip


def csv_text(views: Sequence[BoardView]) -> str:
    """A line for each score, as a fraction; a withheld score is empty. A model without a score has no line."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_HEADS)
    for view in views:
        for row in view.rows:
            for column, cell in zip(view.table.columns, row.cells, strict=True):
                if cell is not None:
                    writer.writerow(_line(view, row, column, cell))
    return file.getvalue()


def _line(view: BoardView, row: BoardRow, column: Column, cell: BoardCell) -> list[object]:
    low, high = cell.ends or (None, None)
    places = (column.task.subset, column.task.key) if column.task else column.over or ("", "")
    return [
        view.mode, view.table.key, row.name, int(row.published), "+".join(row.accepts), row.about, *places,
        column.language, column.metric, cell.value, low, high, cell.n, cell.unparsed, int(cell.best), int(cell.marked),
        cell.p, cell.on_parsed, cell.supported,
    ]  # fmt: skip


def narrow(view: BoardView, most: int = MOST_COLUMNS) -> list[BoardView]:
    """The table split into parts with about equally many columns: at most `most`, including the model's name."""
    columns = len(view.table.columns)
    parts = -(-columns // (most - 1))
    ends = [columns * part // parts for part in range(parts + 1)]
    found = []
    for number, (start, end) in enumerate(pairwise(ends), 1):
        title = view.table.title + (f" ({number} of {parts})" if parts > 1 else "")
        rows = [BoardRow(row.name, row.about, row.accepts, row.published, row.cells[start:end]) for row in view.rows]
        found.append(
            BoardView(view.mode, BoardTable(view.table.key, title, view.table.columns[start:end]), rows, view.tests)
        )
    return found


def markdown(views: Sequence[BoardView], notes: Sequence[str]) -> str:
    """The tables in Markdown. A bold title precedes each group of models in a table."""
    parts = [
        f"{LEGEND} Parentheses after a score show the share of unparsed answers, if any, and Pearson's r without them.",
        *map(plain, notes),
    ]
    for view in views:
        heads = ["Model", *(f"{column.top} {column.head}" for column in view.table.columns)]
        lines = [heads, ["---"] + ["---:"] * len(view.table.columns)]
        for title, rows in groups(view.rows):
            lines.append([f"**{title}**"] + [""] * len(view.table.columns))
            lines += [[plain(_named(row)), *map(_text, row.cells)] for row in rows]
        table = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
        parts.append(f"**{view.table.title}, {view.mode} mode, {view.tests} tests**\n\n{table}")
    return "\n\n".join(parts) + "\n"


def groups(rows: Sequence[BoardRow]) -> Iterator[tuple[str, list[BoardRow]]]:
    """The rows in groups with the same accepted modalities. The input must already be sorted by these."""
    for accepts, found in groupby(rows, key=lambda row: row.accepts):
        yield accepts_text(accepts), list(found)


def _named(row: BoardRow) -> str:
    return f"{row.name} ({row.about})" if row.about else row.name


def _text(cell: BoardCell | None) -> str:
    """A score as the text of a Markdown cell."""
    if cell is None:
        return DASH
    text = times_100(cell.value) + (f" {_interval(cell.ends)}" if cell.ends else "") + (r" \*" if cell.marked else "")
    if not cell.unparsed or not cell.n:
        return text
    parsed = "" if cell.on_parsed is None else f"; {times_100(cell.on_parsed)} without them"
    return f"{text} ({unparsed_text(cell.unparsed, cell.n)}{parsed})"


def times_100(value: float | None) -> str:
    """A score as the paper prints it: multiplied by 100, with one decimal."""
    return DASH if value is None else f"{round(100 * value, 1) + 0.0:.1f}"  # no -0.0


def _interval(ends: Sequence[float] | None) -> str:
    return f"[{times_100(ends[0])}, {times_100(ends[1])}]" if ends else ""


def latex(views: Sequence[BoardView]) -> str:
    r"""The tables in LaTeX with booktabs, for \input. Each has at most MOST_COLUMNS columns."""
    tables = (_latex_table(part) for view in views for part in narrow(view))
    return "% \\usepackage{booktabs}\n\n" + "\n".join(tables)


def _latex_table(view: BoardView) -> str:
    columns = view.table.columns
    tops = [(top, len(list(of))) for top, of in groupby(columns, key=lambda column: column.top)]
    lines = [
        "\\begin{table*}[t]",
        "\\centering\\scriptsize\\setlength{\\tabcolsep}{3pt}",
        f"\\caption{{{tex(f'{view.table.title}, {view.mode} mode, {view.tests} tests. {LEGEND}')}}}",
        f"\\begin{{tabular}}{{l{'r' * len(columns)}}}",
        "\\toprule",
        " & ".join(["", *(f"\\multicolumn{{{width}}}{{c}}{{{tex(top)}}}" for top, width in tops)]) + r" \\",
        " & ".join(["Model", *(tex(column.head) for column in columns)]) + r" \\",
    ]
    for title, rows in groups(view.rows):
        lines += ["\\midrule", f"\\multicolumn{{{len(columns) + 1}}}{{l}}{{\\emph{{{tex(title)}}}}} \\\\"]
        lines += [" & ".join([tex(_named(row)), *map(_stacked, row.cells)]) + r" \\" for row in rows]
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", "\\end{table*}", ""])


def _stacked(cell: BoardCell | None) -> str:
    """A score above its interval."""
    if cell is None:
        return DASH
    text = times_100(cell.value)
    text = f"\\textbf{{{text}}}" if cell.marked else text
    return f"\\shortstack{{{text}\\\\{{\\tiny {_interval(cell.ends)}}}}}" if cell.ends else text
