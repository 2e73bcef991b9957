"""The commands that lead on from a report, ready to copy: quoted for a shell, with the page's own folders."""

import shlex
from collections.abc import Sequence
from typing import NamedTuple

from eval.report.load import Run
from mmafflm.dataset import Dataset


class NextCommand(NamedTuple):
    """What a command does, and the command."""

    what: str
    command: str


def commands(runs: Sequence[Run], data: Dataset) -> list[NextCommand]:
    """Look at answers, test a difference, diagnose what was not diagnosed, and make the page again."""
    at, folders = ["--data", str(data.path)], [str(run.folder) for run in runs]
    found = [NextCommand("Look at every row and answer in a browser", _line("browse", *folders, *at))]
    found += [
        NextCommand(f"Test whether {runs[0].name} is better than {run.name}, row by row",
                    _line("compare", str(run.folder), folders[0], *at))
        for run in runs[1:]
    ]  # fmt: skip
    found += [
        NextCommand(
            f"Look for the failures that the paper names in {run.name}", _line("diagnose", str(run.folder), *at)
        )
        for run in runs
        if run.diagnosis is None
    ]
    return [*found, NextCommand("Make this page again", _line("report", *folders, *at, "--out", "report.html"))]


def _line(*words: str) -> str:
    return shlex.join(["mmaffben", *words])
