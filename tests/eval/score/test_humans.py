import json
from pathlib import Path

import numpy as np
import pytest

from eval.score.humans import add_humans, agreement
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import Dataset
from tests.command import mmaffben
from tests.eval.made_runs import records, write_run

EC, SI = benchmark()["EMOTIC_EC"].tasks[0], benchmark()["EMOTIC_SI"].tasks[0]
DRAW = (50, 1)


def test_people_who_agree_score_like_perfect_models_and_strangers_do_not() -> None:
    names = EC.grammar.names[1:]  # type: ignore[union-attr]
    same = [[[name], [name], [name]] for name in names for _ in range(4)]
    assert agreement(EC, same, DRAW)["metrics"]["micro_f1"] == 1.0
    draw = np.random.default_rng(1)
    strangers = [[[str(draw.choice(names))] for _ in range(3)] for _ in range(200)]
    assert agreement(EC, strangers, DRAW)["metrics"]["micro_f1"] < 0.15
    numbers = [[dict.fromkeys(SI.grammar.dimensions, float(x))] * 2 for x in draw.uniform(-1, 1, 30)]  # type: ignore[union-attr]
    assert agreement(SI, numbers, DRAW)["metrics"]["pearson"] == pytest.approx(1)


def test_each_annotator_plays_the_model_once_and_the_others_are_combined() -> None:
    found = agreement(EC, [[["happiness"], ["peace"]], [["fear"], ["fear"], ["anger"]]], DRAW)
    assert found["n"] == 2 and found["annotators"] == 2.5
    # rounds: (peace -> happiness, fear+anger -> fear), (happiness -> peace, fear+anger -> fear), (peace, fear -> anger)
    hits = [1, 1, 0]
    labels = [1 + 1 + 1 + 2, 1 + 1 + 1 + 2, 1 + 1 + 1 + 1]  # answers and gold of both rows
    micro = np.mean([2 * hit / all_ for hit, all_ in zip(hits, labels, strict=True)])
    assert found["metrics"]["micro_f1"] == pytest.approx(micro)


def test_rows_of_one_annotator_are_left_out() -> None:
    assert agreement(EC, [[["fear"]], []], DRAW) is None
    assert agreement(EC, [[["fear"]], [["fear"], ["fear"]]], DRAW)["n"] == 1
    subsets: dict = {"EMOTIC_EC": {}}
    add_humans(subsets, Path("nowhere"), {"EMOTIC_EC": records("EMOTIC_EC", 3)})
    assert subsets == {"EMOTIC_EC": {}}


def test_a_build_of_the_samples_shows_how_well_people_agree(built: Path, tmp_path: Path) -> None:
    data = Dataset.open(built)
    run = write_run(tmp_path / "run", data, ["EMOTIC_EC", "EMOTIC_SI"], lambda one: one.answer)
    done = mmaffben("score", run, "--data", data.path)
    assert done.returncode == 0, done.stderr
    assert "Human agreement" in done.stdout
    scores = json.loads((run / "scores.strict.json").read_text())["subsets"]
    for name in ("EMOTIC_EC", "EMOTIC_SI"):
        assert scores[name]["humans"]["n"] == scores[name]["n"] and scores[name]["humans"]["annotators"] == 3
    assert scores["EMOTIC_SI"]["humans"]["metrics"]["pearson"] > 0.8  # they round one number in three ways
    assert 0.2 < scores["EMOTIC_EC"]["humans"]["metrics"]["micro_f1"] < 0.9  # two of three name one emotion of several
    shown = mmaffben("report", run, "--data", data.path, "--out", tmp_path / "report.html")
    assert shown.returncode == 0 and "human agreement 0." in (tmp_path / "report.html").read_text()
