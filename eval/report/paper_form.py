"""Tables in the paper's form, as Markdown and LaTeX: accuracy, macro F1 and Pearson's r per task, times 100."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from eval.report.averages import averages
from eval.report.load import Run
from eval.report.names import JACCARD
from eval.report.tables import KINDS, Cell, heat_maps, tasks_of
from eval.run.selection import Selection
from eval.score.figure import DASH, figure, rows_text, unparsed_text

_METRICS = (("accuracy", "Acc."), ("macro_f1", "Ma-F1"), ("pearson", "Pearson"))
_LATEX = {"\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_LATEX |= {char: "\\" + char for char in "&%$#_"}
_BEHIND = "In parentheses: the share of unparsed answers."


class PaperTable(NamedTuple):
    """A caption, two lines of headings (each run's name above its columns), and rows of text."""

    caption: str
    runs: list[str]
    columns: tuple[str, ...]  # headings of each run's columns
    left: tuple[str, ...]  # headings of the columns before those of the runs
    rows: list[list[str]]


def tables(runs: Sequence[Run]) -> list[PaperTable]:
    """For each mode in which a run was scored: all tasks, the means, and the languages of each subset with several."""
    found = []
    for mode in ("strict", "paper"):
        scored = [run for run in runs if mode in run.scores]
        if scored:
            found += [_tasks(scored, mode), *_means(scored, mode), *_languages(scored, mode)]
    return found


def _tasks(runs: Sequence[Run], mode: str) -> PaperTable:
    rows, told = [], any(run.readout != "greedy" for run in runs)
    for subset, task in tasks_of(runs, mode):
        row = [subset, task.key, rows_text(next(one for run in runs if (one := run.scored(subset, task.key, mode))))]
        if told:
            row.append(" / ".join(run.readout_of(subset, task.key) or DASH for run in runs))
        for run in runs:
            row += _figures(run.scored(subset, task.key, mode), mode)
        rows.append(row)
    said = "" if mode == "paper" else ", the main metric with its 95% bootstrap interval"
    caption = (
        f"MMAFFBen, {mode} mode: accuracy, macro F1 and Pearson's r times 100{said}{_limits(runs)}. "
        f"Accuracy of label sets and of MELD_EC is {JACCARD}, as in the paper."
    )
    heads = (*(head for _, head in _METRICS), "Unparsed")
    left = ("Subset", "Task", "n", *(("Readout",) if told else ()))
    return PaperTable(caption, [_named(run) for run in runs], heads, left, rows)


def _means(runs: Sequence[Run], mode: str) -> list[PaperTable]:
    """A list with the table of means; [] if there are no means. A missing or refused mean is shown as a dash."""
    rows = [
        [one.over, KINDS.get(one.group, one.group), one.metric, str(len(one.of)) if one.of else DASH,
         *map(_short, one.cells)]
        for one in averages(runs, mode)
    ]  # fmt: skip
    caption = f"Means of the tasks' scores, {mode} mode, times 100{_limits(runs)}. {_BEHIND}"
    heads = ("Over", "Group", "Metric", "of")
    return [PaperTable(caption, [_named(run) for run in runs], ("",), heads, rows)] if rows else []


def _figures(scored: Mapping[str, Any] | None, mode: str) -> list[str]:
    if scored is None:
        return [DASH] * (len(_METRICS) + 1)
    cells = []
    for metric, _ in _METRICS:
        value, ends, n, unparsed = figure(scored, metric)
        # The accuracy of ordinals is our addition; the paper has only Pearson's r for them.
        if value is None or (metric == "accuracy" and "pearson" in scored["metrics"]):
            cells.append(DASH)
        elif mode == "strict" and ends and metric != "accuracy":
            cells.append(f"{100 * value:.1f} [{100 * ends[0]:.1f}, {100 * ends[1]:.1f}]")
        else:
            cells.append(f"{100 * value:.1f}")
    return [*cells, unparsed_text(unparsed, n)]


def _short(cell: Cell | None) -> str:
    """A value, followed by the share of unparsed answers unless the value is the paper's."""
    if cell is None:
        return DASH
    value = DASH if cell.value is None else f"{100 * cell.value:.1f}"
    return value if cell.n is None or cell.unparsed is None else f"{value} ({unparsed_text(cell.unparsed, cell.n)})"


def _limits(runs: Sequence[Run]) -> str:
    """An addition to captions that says which part of the records runs were limited to; "" if none was limited."""
    limits = sorted({said for run in runs if (said := str(Selection.of_run(run.described)).removeprefix(", "))})
    return f"; {' or '.join(limits)}" if limits else ""


def _named(run: Run) -> str:
    """A run's name, followed by its readout unless that is greedy: a table must not mix readouts without saying so."""
    return run.name if run.readout == "greedy" else f"{run.name} ({run.readout})"


def _languages(runs: Sequence[Run], mode: str) -> list[PaperTable]:
    found = []
    for one in heat_maps(runs, mode):
        rows = [[language, *map(_short, cells)] for language, cells in one.rows]
        beside = " The right-hand columns are the paper's scores (arXiv 2505.24423)." if one.published else ""
        caption = f"{one.subset} by language, {mode} mode: {one.metric} times 100{_limits(runs)}. {_BEHIND}{beside}"
        read = [f"{run.name} ({how})" if how else run.name for run, how in zip(runs, one.readouts, strict=True)]
        names = read + one.published
        found.append(PaperTable(caption, names, ("",), ("Language",), rows))
    return found


def markdown(found: Sequence[PaperTable]) -> str:
    """The tables in Markdown."""
    parts = []
    for table in found:
        heads = [*table.left, *(f"{run} {column}".strip() for run in table.runs for column in table.columns)]
        marks = ["---"] * len(table.left) + ["---:"] * (len(heads) - len(table.left))
        lines = ["| " + " | ".join(map(plain, cells)) + " |" for cells in (heads, marks, *table.rows)]
        parts.append(f"**{plain(table.caption)}**\n\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"


def plain(text: str) -> str:
    """The text, escaped so that it cannot break a table or become Markdown or HTML. A folder may have any name."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*|])", r"\\\1", text).replace("](", "]\\(")


def latex(found: Sequence[PaperTable]) -> str:
    r"""The tables in LaTeX with booktabs, for \input."""
    return "% \\usepackage{booktabs}\n\n" + "\n".join(map(_latex_table, found))


def _latex_table(table: PaperTable) -> str:
    width = len(table.columns)
    heads = ["", *([""] * (len(table.left) - 1))] if width > 1 else list(map(tex, table.left))
    tops = [f"\\multicolumn{{{width}}}{{c}}{{{tex(run)}}}" if width > 1 else tex(run) for run in table.runs]
    lines = [
        "\\begin{table}[t]",
        "\\centering\\small",
        f"\\caption{{{tex(table.caption)}}}",
        f"\\begin{{tabular}}{{{'l' * len(table.left)}{'r' * width * len(table.runs)}}}",
        "\\toprule",
        " & ".join([*heads, *tops]) + r" \\",
    ]
    if width > 1:
        lines.append(" & ".join([*map(tex, table.left), *map(tex, table.columns * len(table.runs))]) + r" \\")
    body = [" & ".join(map(tex, row)) + r" \\" for row in table.rows]
    return "\n".join([*lines, "\\midrule", *body, "\\bottomrule", "\\end{tabular}", "\\end{table}", ""])


def tex(text: str) -> str:
    """The text on one line, with LaTeX's special characters escaped."""
    return "".join(_LATEX.get(char, char) for char in " ".join(text.split()))
