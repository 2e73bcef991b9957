"""Marks models whose rank would change if the prompt listed the labels in another order (`--ablation prompt`)."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from eval.leaderboard.board import NEAR, BoardRow, BoardView
from eval.leaderboard.columns import Column
from eval.leaderboard.entries import BoardEntry
from eval.report.load import DIAGNOSIS, read_made

MARK = "⇅ rank depends on the order of the labels"
Scores = dict[tuple[str, str], tuple[float, float]]
"""{(subset, task key): the main metric with the benchmark's order of the labels, and with the other order}."""


def mark_label_order(views: Sequence[BoardView], entries: Sequence[BoardEntry]) -> list[BoardView]:
    """Add MARK and the tasks concerned to such models in the tables of strict mode; other tables stay as they are.

    A model's score with the other order comes from its diagnosis.json, if the diagnosis included such a run. The model
    is ranked with this score against the other models' usual scores. A diagnosis of other answers than those on the
    board is not used.
    """
    known = {one.name: _scores(one) for one in entries}
    return [
        view if view.mode != "strict" else replace(view, rows=[_marked(view, row, known) for row in view.rows])
        for view in views
    ]


def _scores(entry: BoardEntry) -> Scores:
    diagnosis = read_made(entry.run.folder / DIAGNOSIS) or {}
    details = diagnosis.get("details", {}).get("prompt_dependence", ())
    both = {(one["subset"], one["task"]): one["scores"] for one in details}
    return {key: (of["none"], of["order"]) for key, of in both.items() if {"none", "order"} <= set(of)}


def _marked(view: BoardView, row: BoardRow, known: dict[str, Scores]) -> BoardRow:
    tasks = list(_reordered(view, row, known.get(row.name, {}))) if not row.published else []
    about = "; ".join(filter(None, (row.about, f"{MARK}: {', '.join(tasks)}" if tasks else "")))
    return replace(row, about=about)


def _reordered(view: BoardView, row: BoardRow, scores: Scores) -> Iterator[str]:
    """The tasks of the table in which the model's rank would change."""
    for at, column in enumerate(view.table.columns):
        cell, both = row.cells[at], _of(column, scores)
        if both is None or cell is None or cell.value is None or abs(cell.value - both[0]) > NEAR:
            continue
        others = [one.cells[at] for one in view.rows if one.name != row.name]
        values = [one.value for one in others if one is not None and one.value is not None]
        own, other = (sum(value > score for value in values) for score in (cell.value, both[1]))
        if own != other:
            assert column.task is not None
            yield column.task.name


def _of(column: Column, scores: Scores) -> tuple[float, float] | None:
    task = column.task
    if task is None or column.language is not None or column.metric != task.main_metric:
        return None
    return scores.get((task.subset, task.key))
