"""The next commands after a report, ready to copy: quoted for a shell, with the folders of the report's runs."""

import shlex
from collections.abc import Sequence
from typing import NamedTuple

from eval.report.load import Run
from mmafflm.dataset import Dataset


class NextCommand(NamedTuple):
    """A command, and a sentence on what it does."""

    what: str
    command: str


def commands(runs: Sequence[Run], data: Dataset) -> list[NextCommand]:
    """Commands to browse the answers, test differences, diagnose the undiagnosed runs, and make the page again."""
    at, folders = ["--data", str(data.path)], [str(run.folder) for run in runs]
    found = [NextCommand("Look at every row and answer in a browser", _line("browse", *folders, *at))]
    found += [
        NextCommand(f"Test row by row whether {runs[0].name} is better than {run.name}",
                    _line("compare", str(run.folder), folders[0], *at))
        for run in runs[1:]
    ]  # fmt: skip
    found += [
        NextCommand(
            f"Check {run.name} for the failures that the paper describes", _line("diagnose", str(run.folder), *at)
        )
        for run in runs
        if run.diagnosis is None
    ]
    return [*found, NextCommand("Make this page again", _line("report", *folders, *at, "--out", "report.html"))]


def _line(*words: str) -> str:
    return shlex.join(["mmaffben", *words])
