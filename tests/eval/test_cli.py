"""`mmaffben score` as a user types it: the table, the files, the exit codes."""

import json
from pathlib import Path

import pytest

from mmafflm.records import write_jsonl
from tests.command import mmaffben
from tests.eval.tiny_tests import make_tests


@pytest.fixture
def answered(tmp_path: Path) -> tuple[Path, Path]:
    """DATA with two subsets, and a RUN that answers XED right and onlineshopping with nonsense."""
    data = make_tests(tmp_path / "data", {"XED": 50, "onlineshopping": 20})
    run = tmp_path / "run"
    for name in ("XED", "onlineshopping"):
        rows = [{"id": record.id, "prediction": record.answer if name == "XED" else "?"}
                for record in data.records(name, "test")]  # fmt: skip
        write_jsonl(run / "predictions" / f"{name}.jsonl", rows)
    described = {"data_hash": data.hash, "limit": None, "subsets": {"XED": {"expected": 50}, "onlineshopping": {}}}
    (run / "run.json").write_text(json.dumps(described))
    return run, data.path


def test_score_writes_the_file_and_prints_the_table(answered: tuple[Path, Path]) -> None:
    run, data = answered
    done = mmaffben("score", run, "--data", data)
    assert done.returncode == 0, done.stderr
    scores = json.loads((run / "scores.strict.json").read_text())
    assert scores["mode"] == "strict" and scores["subsets"]["XED"]["metrics"]["accuracy"] == 1.0
    assert scores["subsets"]["onlineshopping"]["unparsed"] == 20
    assert "onlineshopping" in done.stdout and "100.0%" in done.stdout and "strict" in done.stdout


def test_paper_mode_as_markdown(answered: tuple[Path, Path]) -> None:
    run, data = answered
    done = mmaffben("score", run, "--data", data, "--mode", "paper", "--markdown")
    assert done.returncode == 0 and (run / "scores.paper.json").exists()
    assert "| XED" in done.stdout and "paper" in done.stdout and "MMAFFLM-7b" in done.stdout


def test_faults_are_sentences(answered: tuple[Path, Path]) -> None:
    run, data = answered
    answers = run / "predictions" / "XED.jsonl"
    answers.write_text("".join(answers.read_text().splitlines(keepends=True)[1:]))
    missing = mmaffben("score", run, "--data", data)
    assert missing.returncode == 1 and "XED/ec/test/000000" in missing.stderr and "Traceback" not in missing.stderr
    unknown = mmaffben("score", run, "--data", data, "--subsets", "XET")
    assert unknown.returncode == 2 and "XET is not one of" in unknown.stderr
    foreign = mmaffben("score", run, "--data", data, "--import", answers)
    assert foreign.returncode == 1 and "is not a run of imported answers" in foreign.stderr
