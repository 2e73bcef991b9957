"""`make eval` as a user types it, on the nano model and a small build: every step, a stop, and a second start."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from data_build.build import build
from data_build.config import load_config
from mmafflm.benchmark.benchmark import choose_subsets
from tests.eval.report.page import Page
from tests.paths import ROOT

ROWS = 6  # test rows a subset
WRITTEN = ("scores.strict.json", "scores.paper.json", "diagnosis.json", "report.html", "report.results.json")


@pytest.fixture(scope="module")
def root(some_raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with DATA: a text and a picture subset."""
    root = tmp_path_factory.mktemp("eval")
    subsets = choose_subsets("onlineshopping,FER2013")
    assert build(some_raw, root / "data", load_config(None), subsets, jobs=1, limit=40)
    return root


def make(*words: str, bin: Path = Path(sys.executable).parent) -> subprocess.CompletedProcess[str]:
    """Run make with the environment of the tests, so that it installs nothing."""
    has = ["-o", ".venv/.full", "-o", ".venv/.core", f"BIN={bin}"]
    # `make test` runs this test, and a make below a make would inherit its flags and print the folders it enters
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(["make", *has, *words], cwd=ROOT, check=False, capture_output=True, text=True,
                          env={**env, "PYTHONPATH": str(ROOT)})  # fmt: skip


def test_make_eval_ends_with_a_report_and_does_no_work_twice(root: Path, nano: Path, warm: Path) -> None:
    words = ["eval", f"CKPT={nano}", f"DATA={root / 'data'}", f"RUN={root / 'run'}", f"LIMIT={ROWS}"]
    first = make(*words, "SUBSETS=onlineshopping", bin=warm)
    assert first.returncode == 0, first.stderr
    run, page = root / "run", root / "run" / "report.html"
    assert first.stdout.splitlines()[-1] == str(page) and page.exists()
    assert list(json.loads((run / "scores.strict.json").read_text())["subsets"]) == ["onlineshopping"]
    assert f"predict: {ROWS} of {ROWS}, 100%" in first.stderr

    # after a stop within an answer, and with one more subset, only the missing rows are asked
    answers = run / "predictions" / "onlineshopping.jsonl"
    whole = answers.read_bytes()
    answers.write_bytes(whole[:-20])
    second = make(*words, "ENGINE=hf", bin=warm)
    assert second.returncode == 0, second.stderr
    assert second.stdout.splitlines()[-1] == str(page) and answers.read_bytes() == whole
    scores = json.loads((run / "scores.paper.json").read_text())
    assert {name: one["n"] for name, one in scores["subsets"].items()} == {"onlineshopping": ROWS, "FER2013": ROWS}
    said = Page(page.read_text()).said
    assert "Diagnosis" in said and "Paper mode" in said and "FER2013" in said and f"at most {ROWS} rows" in said

    written = {name: ((run / name).stat().st_mtime_ns, (run / name).read_bytes()) for name in WRITTEN}
    third = make(*words, bin=warm)
    assert third.returncode == 0 and third.stdout.splitlines()[-1] == str(page), third.stderr
    assert third.stderr.count(": up to date.") == 4 and "all 12 answers are there already" in third.stderr
    assert {name: ((run / name).stat().st_mtime_ns, (run / name).read_bytes()) for name in WRITTEN} == written


def test_make_eval_without_a_checkpoint_says_how() -> None:
    done = make("eval")
    assert done.returncode and "usage: make eval CKPT=" in done.stderr and not done.stdout


def test_another_readout_or_limit_is_another_run() -> None:
    shown = make("-n", "eval", "CKPT=runs/train-3b/", "READOUT=choice", "LIMIT=50", "SUBSETS=XED,MMS", "OPTION=a=1 b=2")
    run = "runs/eval-train-3b-choice-50"
    words = " ".join(shlex.split(shown.stdout))
    assert f"--out {run} --option a=1 --option b=2" in words
    assert "--readout choice --subsets XED,MMS --limit 50" in words
    assert f"report {run} --data data --out {run}/report.html" in words


def test_a_checkpoint_with_spaces_in_its_name() -> None:
    words = shlex.split(make("-n", "eval", "CKPT=my runs/7b é's/", "DATA=my data").stdout)
    assert words[words.index("--ckpt") + 1] == "my runs/7b é's/" and words.count("my data") == 5
    assert words[words.index("report") + 1] == "runs/eval-7b é's" and "runs/eval-7b é's/report.html" in words
