"""The notebook runs from its first cell to its last, and prints the scores of the command."""

import json
import os
import sys
from pathlib import Path

import pytest

from tests.eval.tiny_tests import make_tests
from tests.paths import ROOT

NOTEBOOK = ROOT / "docs/how-to/score-your-own-answers.ipynb"


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    make_tests(tmp_path / "data", {"XED": 12})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    assert not any(cell.get("outputs") for cell in cells)  # committed without what it printed
    names: dict[str, object] = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    printed = capsys.readouterr().out
    scores = json.loads((tmp_path / "runs/mine/scores.strict.json").read_text())["subsets"]["XED"]
    assert f"all: macro F1 {scores['metrics']['macro_f1']:.3f}" in printed and f"n={scores['n']}" in printed
    assert printed.count("answered: 1. joy") == 3
