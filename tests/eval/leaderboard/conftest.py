"""A small MMAFFBen and four scored runs of it; tests must not change them."""

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from eval.leaderboard.leaderboard import leaderboard
from mmafflm.dataset import Dataset
from tests.eval.leaderboard.board_runs import ACCEPTS, EVIL, NAMES, board_run
from tests.eval.report.report_runs import made_data


class Boards(NamedTuple):
    """The data, the runs, and the folder of their leaderboard."""

    data: Dataset
    runs: list[Path]
    out: Path


@pytest.fixture(scope="session")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Boards:
    """good and its twin answer everything, weak everything but worse, blind only texts."""
    root = tmp_path_factory.mktemp("boards")
    data = made_data(root / "data", lambda task: 60, NAMES)
    good = board_run(data, root / "good", 0.8)
    twin = shutil.copytree(good, root / "twin")
    blind = board_run(data, root / "blind", 0.5, ACCEPTS[0])
    weak = board_run(data, root / EVIL, 0.1, checkpoint="/models/ضعيف")
    runs = [good, twin, blind, weak]
    leaderboard(runs, data, root / "board")
    return Boards(data, runs, root / "board")
