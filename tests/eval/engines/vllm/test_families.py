"""vLLM with models of other families: their own chat template and processor, and a sentence for what it cannot serve.

It needs vLLM's environment, see conftest.py. One process asks all models.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from eval.ask.predict import predict
from mmafflm.dataset import Dataset
from mmafflm.records import read_jsonl
from tests.eval.engines.vllm.tiny import make_tiny
from tests.eval.engines.vllm.vllm_side import ENVIRONMENT
from tests.paths import ROOT

pytestmark = pytest.mark.slow
LIMIT = 4
# transformers 5.6 puts the frames of a Qwen3-VL clip in place of <|vision_start|><|video_pad|><|vision_end|>; 5.19 (of
# vLLM 0.32) puts them in place of <|video_pad|> only. So vLLM's prompt has two tokens more, and other answers.
CLIP = "SAMSEMO"
SUBSETS = {"llama": ["XED", "onlineshopping"], "qwen3_vl": ["XED", "FER2013", "SAMSEMO"], "openai_gpt": ["XED"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("families")


@pytest.fixture(scope="module")
def told(python: str, nano: Path, data: Dataset, folder: Path) -> dict[str, str | None]:
    """Run predict with vLLM for each model, into folder/MODEL-vllm; {model: the message of its Fault}."""
    rows = [
        [str(make_tiny(kind, nano, folder / kind)), str(data.path), str(folder / f"{kind}-vllm"), subsets, LIMIT]
        for kind, subsets in SUBSETS.items()
    ]
    (folder / "runs.json").write_text(json.dumps(rows))
    command = [python, "-m", "tests.eval.engines.vllm.runs_side", str(folder / "runs.json")]
    env = {**os.environ, **ENVIRONMENT}
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(zip(SUBSETS, json.loads(done.stdout.splitlines()[-1]), strict=True))


def predictions(run: Path) -> dict[str, str]:
    rows = (row for path in sorted((run / "predictions").iterdir()) for row in read_jsonl(path))
    return {row["id"]: row["prediction"] for row in rows}


@pytest.mark.parametrize("kind", ["llama", "qwen3_vl"])
def test_a_model_of_another_family_is_asked_as_hf_asks_it(
    kind: str, told: dict[str, str | None], data: Dataset, folder: Path
) -> None:
    assert told[kind] is None
    subsets, out = SUBSETS[kind], {name: folder / f"{kind}-{name}" for name in ("hf", "vllm")}
    predict(str(folder / kind), data, out["hf"], subsets, LIMIT)
    ours, theirs = predictions(out["hf"]), predictions(out["vllm"])
    assert theirs.keys() == ours.keys() and len(ours) == LIMIT * len(subsets)
    same = {name: sum(ours[key] == theirs[key] for key in ours if key.startswith(f"{name}/")) for name in subsets}
    print(f"\n{kind}: of {LIMIT} answers of each subset, those of hf: {same}")
    # a wrong pixel or position changes all answers of a kind, rounding changes one or two; for clips see CLIP
    assert all(count >= 0.75 * LIMIT for name, count in same.items() if name != CLIP)
    assert len(set(ours.values())) > len(ours) / 2 and len(set(theirs.values())) > len(theirs) / 2
    hf, run = (json.loads((out[name] / "run.json").read_text()) for name in ("hf", "vllm"))
    assert run["accepts"] == hf["accepts"] and run["template"] == hf["template"] == "the checkpoint's own"
    sizes = [{name: one["tokens"] for name, one in row["model"]["inputs"].items()} for row in (hf, run)]
    assert list(sizes[0]) == run["accepts"] and sizes[0].keys() == sizes[1].keys()
    assert all(sizes[0][name] == sizes[1][name] for name in sizes[0] if name != "video")
    assert run["model"]["type"] == kind and run["model"]["chat_template_sha256"] == hf["model"]["chat_template_sha256"]


def test_a_model_that_vllm_does_not_serve_is_one_sentence(told: dict[str, str | None], folder: Path) -> None:
    assert "openai_gpt: vLLM cannot serve it (" in str(told["openai_gpt"])
    assert not (folder / "openai_gpt-vllm").exists()
