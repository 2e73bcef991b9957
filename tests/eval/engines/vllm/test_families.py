"""vLLM with models of other families: their own chat template and processor, and a sentence for what it cannot serve.

It needs vLLM's environment, see conftest.py.
"""

import json
from pathlib import Path

import pytest

from eval.ask.predict import predict
from mmafflm.dataset import Dataset
from mmafflm.records import read_jsonl
from tests.eval.engines.vllm.one_start import FAMILIES, FAMILY_LIMIT

pytestmark = pytest.mark.slow
# transformers 5.6 puts the frames of a Qwen3-VL clip in place of <|vision_start|><|video_pad|><|vision_end|>; 5.19 (of
# vLLM 0.32) puts them in place of <|video_pad|> only. So vLLM's prompt has two tokens more, and other answers.
CLIP = "SAMSEMO"


@pytest.fixture(scope="module")
def told(vllm_asked: Path) -> dict[str, str | None]:
    """{model: the message of its Fault}, of the runs of predict with vLLM in vllm_asked/MODEL-vllm."""
    said = json.loads((vllm_asked / "said.json").read_text())
    return dict(zip(FAMILIES, said["faults"], strict=True))


def predictions(run: Path) -> dict[str, str]:
    rows = (row for path in sorted((run / "predictions").iterdir()) for row in read_jsonl(path))
    return {row["id"]: row["prediction"] for row in rows}


@pytest.mark.parametrize("kind", ["llama", "qwen3_vl"])
def test_a_model_of_another_family_is_asked_as_hf_asks_it(
    kind: str, told: dict[str, str | None], data: Dataset, vllm_asked: Path, tmp_path: Path
) -> None:
    assert told[kind] is None
    subsets, out = FAMILIES[kind], {"hf": tmp_path / "hf", "vllm": vllm_asked / f"{kind}-vllm"}
    predict(str(vllm_asked / kind), data, out["hf"], subsets, FAMILY_LIMIT)
    ours, theirs = predictions(out["hf"]), predictions(out["vllm"])
    assert theirs.keys() == ours.keys() and len(ours) == FAMILY_LIMIT * len(subsets)
    same = {name: sum(ours[key] == theirs[key] for key in ours if key.startswith(f"{name}/")) for name in subsets}
    print(f"\n{kind}: of {FAMILY_LIMIT} answers of each subset, those of hf: {same}")
    # a wrong pixel or position changes all answers of a kind, rounding changes one or two; for clips see CLIP
    assert all(count >= 0.75 * FAMILY_LIMIT for name, count in same.items() if name != CLIP)
    assert len(set(ours.values())) > len(ours) / 2 and len(set(theirs.values())) > len(theirs) / 2
    hf, run = (json.loads((out[name] / "run.json").read_text()) for name in ("hf", "vllm"))
    assert run["accepts"] == hf["accepts"] and run["template"] == hf["template"] == "the checkpoint's own"
    sizes = [{name: one["tokens"] for name, one in row["model"]["inputs"].items()} for row in (hf, run)]
    assert list(sizes[0]) == run["accepts"] and sizes[0].keys() == sizes[1].keys()
    assert all(sizes[0][name] == sizes[1][name] for name in sizes[0] if name != "video")
    assert run["model"]["type"] == kind and run["model"]["chat_template_sha256"] == hf["model"]["chat_template_sha256"]


def test_a_model_that_vllm_does_not_serve_is_one_sentence(told: dict[str, str | None], vllm_asked: Path) -> None:
    assert "openai_gpt: vLLM cannot serve it (" in str(told["openai_gpt"])
    assert not (vllm_asked / "openai_gpt-vllm").exists()
