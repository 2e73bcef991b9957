"""The mark of models whose rank depends on the order of the labels."""

import csv
import json
from pathlib import Path

from eval.diagnosis.diagnose import diagnose_run
from eval.leaderboard.label_order import MARK
from eval.leaderboard.leaderboard import leaderboard
from tests.eval.leaderboard.board_runs import board_run
from tests.eval.report.report_runs import made_data


def abouts(board: Path, mode: str) -> dict[str, str]:
    lines = csv.DictReader((board / "leaderboard.csv").read_text().splitlines())
    return {line["model"]: line["about"] for line in lines if (line["table"], line["mode"]) == ("image", mode)}


def test_a_model_is_marked_if_its_rank_is_another_with_the_other_order(tmp_path: Path) -> None:
    data = made_data(tmp_path / "data", lambda task: 60, ["FER2013"])
    skills = {"first": 0.9, "second": 0.6, "third": 0.1}
    runs = [board_run(data, tmp_path / name, skill) for name, skill in skills.items()]
    for run, skill in zip(runs, (0.3, 0.65, 0.05), strict=True):  # only the first changes its rank
        other = board_run(
            data, tmp_path / f"{run.name}-order", skill, ablation="order", checkpoint=f"/models/{run.name}"
        )
        diagnose_run(run, data, [other])
    leaderboard(runs, data, tmp_path / "board")
    found = abouts(tmp_path / "board", "strict")
    assert found == {"first": f"{MARK}: FER2013", "second": "", "third": ""}
    assert set(abouts(tmp_path / "board", "paper").values()) == {""}
    assert (
        MARK in (tmp_path / "board/index.html").read_text() and MARK in (tmp_path / "board/leaderboard.md").read_text()
    )

    diagnosis = json.loads((runs[0] / "diagnosis.json").read_text())
    diagnosis["details"]["prompt_dependence"][0]["scores"]["none"] += 0.1  # of other answers
    (runs[0] / "diagnosis.json").write_text(json.dumps(diagnosis))
    leaderboard(runs, data, tmp_path / "board")
    assert set(abouts(tmp_path / "board", "strict").values()) == {""}
