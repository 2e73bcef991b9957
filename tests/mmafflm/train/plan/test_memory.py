"""The estimate of memory: against DeepSpeed's own arithmetic and measured peaks; the messages about cards."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mmafflm.dataset import Dataset
from mmafflm.errors import Fault, UsageFault
from mmafflm.families.find import architecture_of
from mmafflm.families.qwen2_5_vl.published import PUBLISHED
from mmafflm.train.plan import forecast as forecasts
from mmafflm.train.plan.forecast import GPUS, forecast, host_notes, notes, require_disk, require_gpu
from mmafflm.train.plan.memory import GIB, Load, Memory, Setup, checkpoint_bytes, memory
from mmafflm.train.plan.plan import plan
from mmafflm.train.plan.recipe_file import read_recipe
from mmafflm.train.run import train
from tests.mmafflm.recipes import RECIPES, recipe_with
from tests.mmafflm.tiny_data import make_data, make_record, text_records
from tests.mmafflm.train.plan.family_sizes import FAMILIES

FULL = {"finetuning_type": "full", "freeze_vision_tower": False, "freeze_multi_modal_projector": False}
MIB = 2**20


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    records = text_records(1024)
    records[7] = make_record(7, "x", "positive", images=1)
    return make_data(tmp_path_factory.mktemp("data"), records)


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [2, 4, 8])
def test_model_states_are_deepspeeds(ranks: int) -> None:
    pytest.importorskip("deepspeed")
    from deepspeed.runtime.zero.stage3 import estimate_zero3_model_states_mem_needs as zero3
    from deepspeed.runtime.zero.stage_1_and_2 import estimate_zero2_model_states_mem_needs as zero2

    for name in PUBLISHED:
        size = architecture_of(name)
        assert size
        trained = size.trainable(FULL)
        for stage, offload in ((2, False), (3, False), (3, True)):
            setup = Setup(ranks, 1, stage, offload, 1, half=True, checkpointing=True, buckets=0)
            ours = memory(size, trained, setup, Load(0, 0), lora=False)
            if stage == 3:
                host, gpu, _ = zero3(size.parameters, size.embedding, ranks, 1, offload, False)
            else:
                host, gpu = zero2(size.parameters, ranks, 1, cpu_offload=False)
            assert ours.total == pytest.approx(gpu, rel=1e-9)
            if offload:
                assert ours.host == pytest.approx(host, rel=1e-9)


CASES: dict[str, tuple[str, dict[str, Any]]] = {
    # rows x tokens decide the peak
    "nano, text": ("nano", {"micro": 8, "tokens": 512}),
    "nano, text, checkpointing": ("nano", {"micro": 8, "tokens": 512, "checkpointing": True}),
    "nano, pictures": ("nano", {"micro": 3, "tokens": 1100, "vision_tokens": 1024}),
    "nano, pictures, tower frozen": ("nano", {"micro": 3, "tokens": 1100, "vision_tokens": 1024, "frozen": True}),
    "pocket, text": ("pocket", {"micro": 2, "tokens": 128, "frozen": True}),
    "pocket, text, bf16": ("pocket", {"micro": 1, "tokens": 64, "frozen": True, "half": True}),  # slow on a CPU
    "pocket, text, checkpointing": ("pocket", {"micro": 2, "tokens": 128, "checkpointing": True}),
    "pocket, LoRA, checkpointing": ("pocket", {"micro": 2, "tokens": 128, "checkpointing": True, "lora": 16}),
}
CASES |= {
    f"{kind}, {what}": (kind, case)
    for kind in FAMILIES
    for what, case in (
        ("text", {"micro": 4, "tokens": 512}),
        ("pictures", {"micro": 4, "tokens": 300, "vision_tokens": 256}),
    )
}
LAYERS = {"nano": 2, "pocket": 6}  # pocket itself has 30, which take four times as long


def sizes_of(kind: str) -> dict[str, Any]:
    """The config.json of a model of this kind, with fewer layers."""
    from mmafflm.standin import standin

    if kind in FAMILIES:
        return {"model_type": kind, "tie_word_embeddings": True, **FAMILIES[kind]}
    text, vision = (getattr(standin, f"{kind.upper()}_{part}") for part in ("TEXT", "VISION"))
    more = {"vocab_size": 4096 if kind == "nano" else 49163, "num_hidden_layers": LAYERS[kind]}
    return {
        "model_type": "qwen2_5_vl",
        "text_config": {**text, **more, "tie_word_embeddings": True},
        "vision_config": {**vision, "out_hidden_size": text["hidden_size"], "patch_size": 14},
        "image_token_id": 12, "video_token_id": 13, "vision_start_token_id": 9, "tie_word_embeddings": True,
    }  # fmt: skip


class Measured(NamedTuple):
    """A case with its defaults, the folder of its config.json, and the bytes that its steps took."""

    case: dict[str, Any]
    folder: Path
    peak: int


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Measured]:
    """Every case, measured in one process and its forks."""
    pytest.importorskip("torch")
    root, cases = tmp_path_factory.mktemp("cases"), {}
    for name, (kind, given) in CASES.items():
        (folder := root / name).mkdir()
        (folder / "config.json").write_text(json.dumps(sizes_of(kind)))
        usual = {"vision_tokens": 0, "checkpointing": False, "frozen": False, "lora": 0}
        cases[name] = usual | given | {"config": str(folder / "config.json")}
    env = os.environ | {"CUDA_VISIBLE_DEVICES": "", "MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.mmafflm.train.plan.memory_step", json.dumps(list(cases.values()))]
    done = subprocess.run(command, env=env, cwd=RECIPES.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    peaks = [json.loads(line)["peak"] for line in done.stdout.splitlines()]
    return {name: Measured(case, root / name, peak) for (name, case), peak in zip(cases.items(), peaks, strict=True)}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_estimate_is_what_a_step_takes(
    name: str, measured: dict[str, Measured], capsys: pytest.CaptureFixture[str]
) -> None:
    case, folder, peak = measured[name]
    size = architecture_of(str(folder))
    assert size
    how = {"finetuning_type": "lora", "lora_rank": case["lora"]} if case["lora"] else FULL
    trained = size.trainable(how | {"freeze_vision_tower": case["frozen"]} if not case["lora"] else how)
    setup = Setup(1, 1, 0, False, case["micro"], half="half" in case, checkpointing=case["checkpointing"], buckets=0)
    needs = memory(size, trained, setup, Load(case["tokens"], case["vision_tokens"]), lora=bool(case["lora"]))
    with capsys.disabled():
        print(f"\n{name}: measured {peak / MIB:.0f} MiB, estimated {needs.total / MIB:.0f}")
    assert needs.total == pytest.approx(peak, rel=0.2), (peak / MIB, needs)


# Recipe, number of cards of one node, name of the card: the recipe's header says that these hold the run.
PROMISED = [
    *(
        ("mmafflm-3b.yaml", gpus, card)
        for gpus, card in ((2, "A100-80"), (4, "A100-80"), (8, "H100-80"), (4, "L40S-48"))
    ),
    *(("mmafflm-7b.yaml", gpus, card) for gpus, card in ((4, "A100-80"), (8, "A100-80"), (8, "H100-80"))),
    *(("mmafflm-3b-offload.yaml", gpus, card) for gpus, card in ((4, "RTX4090-24"), (2, "L40S-48"))),
    *(("mmafflm-7b-offload.yaml", gpus, card) for gpus, card in ((4, "RTX4090-24"), (4, "A6000-48"), (2, "A100-80"))),
    *(("mmafflm-3b-lora.yaml", gpus, "RTX4090-24") for gpus in (1, 2, 4, 8)),
    *(("mmafflm-7b-lora.yaml", gpus, "A100-40") for gpus in (1, 2, 4, 8)),
    *(("mmafflm-7b-lora-vision.yaml", gpus, "L40S-48") for gpus in (1, 2, 4, 8)),
    *(("mmafflm-qwen3-vl-4b.yaml", gpus, card) for gpus, card in ((2, "A100-80"), (4, "L40S-48"))),
    *(("mmafflm-qwen2-vl-2b.yaml", gpus, card) for gpus, card in ((2, "A100-80"), (4, "RTX4090-24"))),
    *(("mmafflm-gemma3-4b.yaml", gpus, card) for gpus, card in ((2, "A100-80"), (4, "L40S-48"))),
    ("mmafflm-internvl3-2b.yaml", 2, "A100-80"),
    *((f"mmafflm-{name}.yaml", 4, "A100-80") for name in ("qwen3-vl-8b", "qwen2-vl-7b", "internvl3-8b")),
    *((f"mmafflm-{name}-lora.yaml", 1, "RTX4090-24") for name in ("qwen3-vl-4b", "qwen2-vl-2b")),
    *((f"mmafflm-{name}-lora.yaml", 1, "A100-40") for name in ("qwen3-vl-8b", "qwen2-vl-7b", "gemma3-4b")),
    ("mmafflm-internvl3-2b-lora.yaml", 1, "L40S-48"),
    ("mmafflm-internvl3-8b-lora.yaml", 1, "A100-80"),
]


def at_the_cutoff(name: str, gpus: int) -> Memory:
    """A recipe's memory for records as long as its cutoff_len, a third of each pictures; InternVL's are all frames."""
    config = read_recipe(RECIPES / name)
    size = architecture_of(config["model_name_or_path"])
    assert size
    frames = "internvl" in name
    vision, mean = (config["cutoff_len"], 1500) if frames else (1365, 100)
    load = Load(config["cutoff_len"], vision, waiting=mean * config["global_batch"] / gpus)
    lora = config["finetuning_type"] == "lora"
    return memory(size, size.trainable(config), Setup.of(config, gpus, 1), load, lora)


@pytest.mark.parametrize(("name", "gpus", "card"), PROMISED)
def test_what_a_header_promises_fits(name: str, gpus: int, card: str) -> None:
    assert at_the_cutoff(name, gpus).fits(GPUS[card].gib)


def test_what_a_header_says_does_not_fit() -> None:
    assert not at_the_cutoff("mmafflm-7b.yaml", 2).fits(GPUS["A100-80"].gib)
    assert not at_the_cutoff("mmafflm-3b.yaml", 4).fits(GPUS["RTX4090-24"].gib)
    for name, said in (("mmafflm-3b-offload.yaml", "84 GiB"), ("mmafflm-7b-offload.yaml", "186 GiB")):
        host = at_the_cutoff(name, 4).host / GIB
        assert said in (RECIPES / name).read_text() and 0.97 < host / float(said.split()[0]) < 1.01


def test_plan_says_what_fits(data: Dataset) -> None:
    planned = plan(RECIPES / "mmafflm-7b.yaml", data, gpus=2)
    lines = list(notes(planned, planned.recipe))
    assert any("8,292,166,656 parameters" in line for line in lines)
    table = {line.split()[0]: line for line in lines if line.split()[0] in GPUS}
    assert table.keys() == GPUS.keys()
    assert "does not fit" in table["RTX4090-24"] and "offload" in table["RTX4090-24"]
    with pytest.raises(UsageFault, match=r"A100-40 has 36 GiB to use\. .* fits"):
        require_gpu(planned, "A100-40")
    with pytest.raises(UsageFault, match="known are A100-40"):
        require_gpu(planned, "A100")
    require_gpu(plan(RECIPES / "mmafflm-7b.yaml", data, gpus=8), "A100-80")
    require_gpu(plan(RECIPES / "mmafflm-3b.yaml", data, gpus=2), "H100-80")
    require_gpu(plan(RECIPES / "mmafflm-7b-offload.yaml", data, gpus=4), "RTX4090-24")


def test_flops_tokens_and_hours(data: Dataset) -> None:
    full, lora = (forecast(plan(RECIPES / name, data, gpus=8)) for name in ("mmafflm-3b.yaml", "mmafflm-3b-lora.yaml"))
    assert full and lora
    mix = full.plan.mix
    assert full.plan.examples == mix.rows == 1024
    text = 6 * full.size.text * mix.tokens
    vision = 6 * full.size.vision * 4 * mix.vision_tokens + 6 * full.size.projector * mix.vision_tokens
    plain = replace(full.setup, checkpointing=False)
    assert full.flops(plain) == text + vision
    assert 1.25 < full.flops() / full.flops(plain) < 4 / 3  # the forward pass again, without the head
    assert 0.7 < lora.flops() / full.flops() < 0.8  # no gradients of frozen weights
    fast, slow = full.hours(GPUS["A100-80"])
    gathered = 3 * 2 * full.size.parameters * (1024 / 8) * 7 / 8  # three times all weights in bf16, per micro-batch
    assert full.moved() == gathered and lora.moved() < gathered / 80
    links = gathered / 300e9 / 3600
    assert fast == pytest.approx(max(links, full.flops() / (8 * 312e12 * 0.5) / 3600))
    assert slow == pytest.approx(links + full.flops() / (8 * 312e12 * 0.3) / 3600)


def test_no_sizes_no_estimate(data: Dataset, tmp_path: Path) -> None:
    planned = plan(RECIPES / "mmafflm-3b.yaml", data, gpus=2, base="someone/unknown")
    assert list(notes(planned, tmp_path)) == ["No estimate: no config.json of someone/unknown is on this machine."]
    with pytest.raises(UsageFault, match=r"no config\.json of someone/unknown"):
        require_gpu(planned, "A100-80")
    require_disk(planned, tmp_path)


def test_a_full_disk_is_refused_before_anything_starts(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = plan(RECIPES / "mmafflm-7b.yaml", data, gpus=4)
    known = forecast(planned)
    assert known and planned.config["max_steps"] == 4  # one checkpoint, at the end
    one = checkpoint_bytes(known.size, known.trained, known.setup, lora=False)
    assert one == 14 * known.size.parameters
    assert known.disk == one + 2 * known.size.parameters
    monkeypatch.setattr(forecasts, "free_bytes", lambda out: 100 * GIB)
    with pytest.raises(Fault, match=r"100\.0 GiB free, but the run needs up to 123\.6"):
        require_disk(planned, tmp_path / "run")
    assert any("train would refuse" in line for line in notes(planned, tmp_path))
    (tmp_path / "run/checkpoint-2").mkdir(parents=True)
    with (tmp_path / "run/checkpoint-2/model.safetensors").open("wb") as sparse:
        sparse.truncate(30 * GIB)  # a resumed run overwrites its files
    require_disk(planned, tmp_path / "run")


def test_a_host_that_is_too_small_for_offload_is_said(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = plan(RECIPES / "mmafflm-7b-offload.yaml", data, gpus=4)
    monkeypatch.setattr(forecasts, "host_bytes", lambda: 128 * GIB)
    (line,) = host_notes(planned)
    assert "185 GiB of host memory on each node for the offloaded optimizer, 128 on this machine. That is too" in line
    assert line in list(notes(planned, planned.recipe))
    monkeypatch.setattr(forecasts, "host_bytes", lambda: 512 * GIB)
    (line,) = host_notes(planned)
    assert line.endswith("512 on this machine.")
    assert not list(host_notes(plan(RECIPES / "mmafflm-7b.yaml", data, gpus=4)))


def test_train_asks_for_the_disk_first(data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in ("model.safetensors", "preprocessor_config.json"):
        (tmp_path / part).write_text("{}")
    (tmp_path / "config.json").write_text(json.dumps(PUBLISHED["Qwen/Qwen2.5-VL-3B-Instruct"]))
    from tokenizers import Tokenizer, models

    Tokenizer(models.BPE(vocab={"a": 0}, merges=[])).save(str(tmp_path / "tokenizer.json"))
    monkeypatch.setattr(forecasts, "free_bytes", lambda out: GIB)
    recipe = recipe_with(tmp_path)
    with pytest.raises(Fault, match=r"1\.0 GiB free"):
        train(recipe, data, tmp_path / "run", base=str(tmp_path))
    assert not (tmp_path / "run").exists()
