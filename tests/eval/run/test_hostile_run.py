"""A folder of answers from someone else cannot lead to files outside it."""

import json
from pathlib import Path
from typing import Any

import pytest

from eval.report.load import load_runs
from eval.run.join import run_json
from eval.run.run_folder import RunFolder
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault
from mmafflm.run_file import write_run
from tests.eval.tiny_tests import make_tests


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    return make_tests(tmp_path / "data", {"XED": 3})


@pytest.mark.parametrize(
    "link", ["predictions/XED.jsonl", "predictions", "shards", ".locks/whole", "scores.strict.json"]
)
def test_a_link_that_leads_out_is_refused(link: str, data: Dataset, tmp_path: Path) -> None:
    run, away = tmp_path / "run", tmp_path / "away"
    away.mkdir()
    (away / "mine").write_text("mine")
    write_run(run, {"data_hash": data.hash, "subsets": {"XED": {"expected": 3}}})
    (run / link).parent.mkdir(exist_ok=True)
    (run / link).symlink_to(away / "mine" if "." in link or "/" in link else away)
    for use in (lambda: run_json(run), lambda: RunFolder(run).keep({"subsets": {}})):
        with pytest.raises(Fault, match="leads out of the folder"):
            use()
    assert [path.name for path in away.iterdir()] == ["mine"] and (away / "mine").read_text() == "mine"


@pytest.mark.parametrize("name", ["../../away", "/etc/passwd", "XED/../.."])
def test_scores_name_subsets_only(name: str, data: Dataset, tmp_path: Path) -> None:
    run = tmp_path / "run"
    write_run(run, {"data_hash": data.hash, "subsets": {"XED": {"expected": 3}}})
    (run / "scores.strict.json").write_text(json.dumps(SCORES | {"subsets": {name: XED}}))
    with pytest.raises(Fault, match="is not a subset"):
        load_runs([run], data)


XED = {"n": 3, "unparsed": 0, "metrics": {"macro_f1": 0.5}, "ci95": {"macro_f1": [0.4, 0.6]}}
SCORES = {"schema": 1, "mode": "strict", "subsets": {"XED": XED}}
DIAGNOSIS = {"schema": 2, "findings": []}


@pytest.mark.parametrize(
    ("scores", "diagnosis", "said"),
    [
        ({"schema": 2}, {}, r"scores\.strict\.json: schema: Input should be 1\. Score the run again"),
        ({"subsets": []}, {}, r"scores\.strict\.json: subsets: .*dictionary"),
        ({"subsets": {"XED": XED | {"n": "many"}}}, {}, r"scores\.strict\.json: subsets\.XED\..*\.n: .*integer"),
        ({"subsets": {"XED": XED | {"metrics": {"macro_f1": "<b>"}}}}, {}, r"metrics\.macro_f1: .*number"),
        ({}, {"schema": 1}, r"diagnosis\.json: schema: Input should be 2\. Make it again: mmaffben diagnose"),
        ({}, {"findings": [{"check": "unparsed"}]}, r"diagnosis\.json: findings\.0\.kind: Field required"),
    ],
)
def test_scores_and_diagnosis_have_the_form_of_the_schema(
    scores: dict[str, Any], diagnosis: dict[str, Any], said: str, data: Dataset, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    write_run(run, {"data_hash": data.hash, "subsets": {"XED": {"expected": 3}}})
    (run / "scores.strict.json").write_text(json.dumps(SCORES | scores))
    (run / "diagnosis.json").write_text(json.dumps(DIAGNOSIS | diagnosis))
    with pytest.raises(Fault, match=said):
        load_runs([run], data)
