"""`mmaffben leaderboard`: many scored runs on one page with sorting and filters, and the same tables as other files."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eval.leaderboard import printed
from eval.leaderboard.board import BoardView, board
from eval.leaderboard.entries import BoardEntry, load_entries, notes
from eval.leaderboard.label_order import mark_label_order
from eval.leaderboard.page import page
from eval.run.up_to_date import KEY, made_of, standing
from mmafflm.dataset import Dataset, split_file
from mmafflm.errors import UsageFault
from mmafflm.records import write_text
from mmafflm.terminal.command import say

SCHEMA = 1  # version of the format of leaderboard.json


def leaderboard(folders: Sequence[Path], data: Dataset, out: Path) -> list[Path]:
    """Write OUT/index.html and leaderboard.csv, .md, .tex and .json. Returns their paths, the page first.

    An up-to-date leaderboard of the same runs is left unchanged. Raises Fault for a run that is not scored, or whose
    scores do not come from its answers, and for changed records; UsageFault for a wrong --out or a wrong run folder.
    """
    if out.is_file() or out.suffix.lower() in (".html", ".htm"):
        raise UsageFault(f"--out: {out} is not a folder. Pass a folder, because the leaderboard has several files.")
    entries = load_entries(folders, data)
    data.require_unchanged({split_file(name, "test") for one in entries for name in one.subsets
                            if name in data.subsets("test")})  # fmt: skip
    written = [out / name for name in ("index.html", *(f"leaderboard.{kind}" for kind in ("csv", "md", "tex", "json")))]
    made = made_of([], runs=[(one.name, one.run.folder, one.run.files) for one in entries], data=data.hash)
    if standing(written[-1], made) is not None and all(path.exists() for path in written):
        say(f"{out}: up to date.")
        return written
    views, told = mark_label_order(board(entries, data), entries), notes(entries, data)
    write_text(written[0], page(views, told, entries, data))
    write_text(written[1], printed.csv_text(views))
    write_text(written[2], printed.markdown(views, told))
    write_text(written[3], printed.latex(views))
    found = {"schema": SCHEMA, "data": {"hash": data.hash}, "notes": told, **_json(views, entries), KEY: made}
    # This file is written last, so that it shows that all files are complete.
    write_text(written[4], json.dumps(found, ensure_ascii=False, allow_nan=False) + "\n")
    return written


def _json(views: Sequence[BoardView], entries: Sequence[BoardEntry]) -> dict[str, Any]:
    """The tables and the runs' conditions for leaderboard.json. Scores are fractions, not multiplied by 100."""
    runs = {
        one.name: {"accepts": one.accepts, **one.conditions, "checkpoint": one.run.described.get("checkpoint")}
        for one in entries
    }
    tables = [
        {
            "mode": view.mode,
            "table": view.table.key,
            "columns": [column.key for column in view.table.columns],
            "rows": [
                {
                    "name": row.name,
                    "published": row.published,
                    "cells": [None if cell is None else cell._asdict() for cell in row.cells],
                }
                for row in view.rows
            ],
        }
        for view in views
    ]
    return {"runs": runs, "tables": tables}
