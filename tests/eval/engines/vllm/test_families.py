"""vLLM with models of other families: their own chat template and processor, and a sentence for what it cannot serve.

It needs vLLM's environment, see conftest.py.
"""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from eval.ask.predict import predict
from mmafflm.dataset import Dataset
from mmafflm.records import read_jsonl
from tests.eval.engines.vllm.tiny import make_tiny
from tests.paths import ROOT

pytestmark = pytest.mark.slow
LIMIT = 4
KINDS = {"llama": ("XED", "onlineshopping"), "qwen3_vl": ("XED", "FER2013", "SAMSEMO")}


@pytest.fixture
def asked(python: str, nano: Path, data: Dataset, tmp_path: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    def ask(kind: str, *more: object) -> "subprocess.CompletedProcess[str]":
        ckpt = make_tiny(kind, nano, tmp_path / kind)
        words = ("--ckpt", ckpt, "--data", data.path, "--out", tmp_path / "vllm", "--engine", "vllm", *more)
        command = [Path(python).with_name("mmaffben"), "predict", "--limit", LIMIT, *words]
        env = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
        return subprocess.run(list(map(str, command)), capture_output=True, text=True, env=env, check=False)

    return ask


def predictions(run: Path) -> dict[str, str]:
    rows = (row for path in sorted((run / "predictions").iterdir()) for row in read_jsonl(path))
    return {row["id"]: row["prediction"] for row in rows}


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_of_another_family_is_asked_as_hf_asks_it(
    kind: str, asked: Callable[..., "subprocess.CompletedProcess[str]"], data: Dataset, tmp_path: Path
) -> None:
    subsets = KINDS[kind]
    done = asked(kind, "--subsets", ",".join(subsets))
    assert done.returncode == 0, done.stderr[-3000:]
    predict(str(tmp_path / kind), data, tmp_path / "hf", list(subsets), LIMIT)
    ours, theirs = predictions(tmp_path / "hf"), predictions(tmp_path / "vllm")
    same = sum(ours[name] == text for name, text in theirs.items())
    print(f"\n{kind}: {same} of {len(ours)} answers are those of hf")
    assert theirs.keys() == ours.keys() and len(ours) == LIMIT * len(subsets)
    assert same >= 0.9 * len(ours) and len(set(ours.values())) > len(ours) / 2
    run = json.loads((tmp_path / "vllm/run.json").read_text())
    hf = json.loads((tmp_path / "hf/run.json").read_text())
    assert run["accepts"] == hf["accepts"] and run["template"] == hf["template"] == "the checkpoint's own"
    assert run["model"]["type"] == kind and run["model"]["chat_template_sha256"] == hf["model"]["chat_template_sha256"]


def test_a_model_that_vllm_does_not_serve_is_one_sentence(
    asked: Callable[..., "subprocess.CompletedProcess[str]"], tmp_path: Path
) -> None:
    done = asked("openai_gpt", "--subsets", "XED")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.count("error: ") == 1 and "vLLM cannot serve it" in done.stderr
    assert not (tmp_path / "vllm").exists()
