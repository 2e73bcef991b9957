"""Plans: the computed values, and LLaMA-Factory's own parser on every recipe."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mmafflm.dataset import Dataset
from mmafflm.train.plan.plan import Plan, gpus_here, plan
from mmafflm.train.plan.recipe_file import OURS, read_keys
from tests.budget import BUDGET
from tests.forks import Forks
from tests.mmafflm.recipes import NAMES, PAPER, RECIPES, recipe_with


def test_the_papers_numbers(reviews: Dataset, bare: str) -> None:
    planned = plan(RECIPES / "mmafflm-3b.yaml", reviews, gpus=2, base=bare)
    config = planned.config
    assert (config["max_steps"], config["gradient_accumulation_steps"], config["dataloader_num_workers"]) == (5, 128, 4)
    assert config["accelerator_config"] == {"dispatch_batches": False}
    assert config["learning_rate"] == 5e-6 and isinstance(config["learning_rate"], float)
    assert (config["image_max_pixels"], config["video_max_pixels"], config["cutoff_len"]) == (262144, 16384, 4096)
    assert config["warmup_steps"] == 1
    assert any("20 left over" in note for note in planned.notes)
    assert any("warm-up is 1 steps, not 100" in note for note in planned.notes)
    assert Path(config["deepspeed"]).is_absolute() and Path(config["media_dir"]) == reviews.path.resolve()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("gpus", "nodes"), [(1, 1), (2, 1), (1, 2)])
def test_every_recipe_keeps_its_batch_and_shards(name: str, gpus: int, nodes: int, reviews: Dataset, bare: str) -> None:
    planned = plan(RECIPES / name, reviews, gpus=gpus, nodes=nodes, base=bare)
    config, ranks = planned.config, gpus * nodes
    micro, accumulation = config["per_device_train_batch_size"], config["gradient_accumulation_steps"]
    assert micro * accumulation * ranks == planned.global_batch
    assert planned.ranks == ranks and planned.examples == 1300 // planned.global_batch * planned.global_batch
    assert config["max_steps"] == 1300 // planned.global_batch
    workers = config["dataloader_num_workers"]
    assert workers % ranks == 0 and workers // ranks >= 2
    assert config["max_steps"] * accumulation % (workers // ranks) == 0  # equally many batches from each shard
    assert (RECIPES / name).read_text().startswith("# ") and f"train_configs/{name}" in (RECIPES / name).read_text()
    assert config["streaming"] is True and not set(OURS) & config.keys()
    assert config["report_to"] == "tensorboard" and config["logging_nan_inf_filter"] is False


@pytest.mark.parametrize(
    ("visible", "gpus"), [("0,1", 2), (" 3 , 1 ", 2), ("GPU-1a2b", 1), ("", 0), ("-1", 0), ("NoDevFiles", 0)]
)
def test_gpus_are_those_that_cuda_may_see(visible: str, gpus: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpus_here() == gpus


@pytest.mark.parametrize(("asked", "given"), [(100, 20), (21, 20), (20, 20), (5, 5)])
def test_warm_up_is_a_quarter_of_all_steps_at_most(
    asked: int, given: int, tmp_path: Path, reviews: Dataset, bare: str
) -> None:
    config = plan(recipe_with(tmp_path, warmup_steps=asked), reviews, gpus=1, base=bare).config
    assert (config["max_steps"], config["warmup_steps"]) == (81, given)


def zero_stage(planned: Plan) -> int | None:
    path = planned.config.get("deepspeed")
    return json.loads(Path(path).read_text())["zero_optimization"]["stage"] if path else None


@pytest.mark.parametrize("name", NAMES)
def test_the_reference_facts_hold_in_every_recipe(name: str, reviews: Dataset, bare: str) -> None:
    """Each line checks a fact about LLaMA-Factory; most reasons are in docs/reference/training.md, "The config"."""
    planned = plan(RECIPES / name, reviews, gpus=2 if "mmafflm" in name else 1, base=bare)
    config, stage = planned.config, zero_stage(planned)
    assert config["dataloader_num_workers"] >= 2 * planned.ranks  # else every rank reads all rows
    assert config["max_steps"] == 1300 // planned.global_batch and "num_train_epochs" not in config  # a stream
    assert config["dataset"] == "mmaffin_train" and not {"mix_strategy", "interleave_probs"} & config.keys()
    assert config["accelerator_config"] == {"dispatch_batches": False} and "dispatch_batches" not in config
    assert stage != 3 or config["per_device_train_batch_size"] == 1  # a picture and a clip in one would hang
    assert stage != 2 or config["use_reentrant_gc"] is False  # reentrant checkpointing reduces gradients twice
    assert stage is None or not config.get("use_cpu")
    assert not config.get("packing") and not config.get("neat_packing")  # packing breaks the mask
    assert {key: config[key] for key in BUDGET.to_json()} == BUDGET.to_json()  # the paper's
    assert config["cutoff_len"] == (16384 if "internvl" in name else 4096) and config["template"] == "qwen2_vl"
    assert not config.get("predict_with_generate") and not config.get("do_predict")


@pytest.mark.parametrize("name", [*NAMES, "llamafactory/paper-as-run.yaml"])
def test_a_header_says_command_hardware_memory_and_what_was_run(name: str) -> None:
    header = (RECIPES / name).read_text().split("\n\n")[0]
    said = [f"train train_configs/{name}", "# Hardware assumed:", "# Reproduces:", "# Run:"]
    cpu = ("nano.yaml", "pocket.yaml", "fer2013.yaml", "fer2013-last.yaml", "faces-and-text.yaml")
    said += ["# Memory: " if name in cpu else "# Memory, estimated: "]
    assert not [one for one in said if one not in header]
    assert all(line.startswith("#") for line in header.splitlines())


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_typed_twice(name: str) -> None:
    own = yaml.safe_load((RECIPES / name).read_text())
    if "extends" in own:
        above = read_keys(RECIPES / own["extends"])
        assert not [key for key in own if key in above and own[key] == above[key]]


def test_offload_is_zero3_and_the_optimizer_on_the_host() -> None:
    # DeepSpeed reads one file and cannot extend another, so both files repeat the common keys
    plain, offload = (
        json.loads((RECIPES / f"deepspeed/{name}.json").read_text()) for name in ("zero3", "zero3_offload")
    )
    plain["zero_optimization"]["offload_optimizer"] = {"device": "cpu", "pin_memory": True}
    assert offload == plain


def test_a_recipe_over_its_base(tmp_path: Path, reviews: Dataset, bare: str) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "zero.json").write_text('{"zero_optimization": {"stage": 3}}')
    below = recipe_with(tmp_path, per_device_train_batch_size=1).rename(tmp_path / "below.yaml")
    below.write_text(below.read_text() + "deepspeed: zero.json\n")
    (tmp_path / "inner/middle.yaml").write_text("extends: ../below.yaml\nlearning_rate: 5e-6\nseed: 7\n")
    (tmp_path / "top.yaml").write_text("extends: inner/middle.yaml\nseed: 9\nwarmup_steps:\n")
    config = plan(tmp_path / "top.yaml", reviews, gpus=1, base=bare).config
    assert (config["learning_rate"], config["seed"], config["lr_scheduler_type"]) == (5e-6, 9, "cosine")
    assert config["deepspeed"] == str((tmp_path / "zero.json").resolve())  # relative to the recipe that names it
    assert "warmup_steps" not in config and "extends" not in config


REPORTERS = (
    {"report_to": ["tensorboard", "wandb"], "run_name": "one"},
    {"report_to": ["tensorboard", "trackio"], "project": "mmafflm"},
    {"report_to": "swanlab"},
    {"use_swanlab": True, "swanlab_project": "mmafflm", "swanlab_mode": "local"},
)
PARSE = """
import sys, yaml, torch
from llamafactory.hparams import parser
from llamafactory.hparams.parser import HfArgumentParser, _TRAIN_ARGS
if sys.argv[2] == "gpu":  # this machine has none, and bf16 asks for one
    import transformers.training_args
    transformers.training_args.is_torch_bf16_gpu_available = lambda: True
for path in sys.argv[3:]:
    config = yaml.safe_load(open(path))
    if sys.argv[1] == "plain":
        parsed = parser.get_train_args(config)
    else:  # DeepSpeed wants a launcher around it; the parser itself does not
        parsed = HfArgumentParser(_TRAIN_ARGS).parse_dict(config)
    print(parsed[2].max_steps, parsed[2].accelerator_config.dispatch_batches, parsed[1].streaming)
"""


def test_llamafactorys_parser_takes_every_recipe(tmp_path: Path, reviews: Dataset, bare: str, forks: Forks) -> None:
    groups: dict[tuple[str, str], list[str]] = {("dict", "cpu"): []}
    for name in NAMES:
        planned = plan(RECIPES / name, reviews, gpus=1 if "mmafflm" not in name else 2, base=bare, out=tmp_path / name)
        path = tmp_path / f"parsed-{name}"
        path.write_text(planned.to_yaml())
        key = ("dict" if "deepspeed" in planned.config else "plain", "cpu" if planned.cpu else "gpu")
        groups.setdefault(key, []).append(str(path))
    groups["dict", "gpu"].append(str(PAPER))
    for number, keys in enumerate(REPORTERS):
        path = tmp_path / f"reporter-{number}.yaml"
        planned = plan(recipe_with(tmp_path, **keys), reviews, gpus=1, base=bare, out=tmp_path / "run")
        path.write_text(planned.to_yaml())
        groups["dict", "cpu"].append(str(path))
    for (how, hardware), paths in groups.items():
        folder = tmp_path / f"{how}-{hardware}"
        folder.mkdir()
        said = forks.check(PARSE, [how, hardware, *paths], folder)
        # max_steps, dispatch_batches and streaming, one line per recipe, between LLaMA-Factory's own messages
        assert sum(line.endswith(" False True") for line in said.splitlines()) == len(paths), said


def test_planning_imports_no_torch(reviews: Dataset, bare: str) -> None:
    code = (
        "import sys; from pathlib import Path;"
        "from mmafflm.dataset import Dataset; from mmafflm.train.plan.plan import plan;"
        f"plan(Path({str(RECIPES / 'nano.yaml')!r}), Dataset.open(Path({str(reviews.path)!r})), 1, base={bare!r});"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=RECIPES.parent)


def test_a_command_names_the_base_over_the_recipe(tmp_path: Path, reviews: Dataset, bare: str) -> None:
    recipe = recipe_with(tmp_path, model_name_or_path="someone/else")
    assert plan(recipe, reviews, gpus=1).config["model_name_or_path"] == "someone/else"
    planned = plan(recipe, reviews, gpus=1, base=bare)
    assert planned.config["model_name_or_path"] == str(Path(bare).resolve()) and planned.base_is_local


@pytest.mark.parametrize(
    ("batch", "micro", "gpus", "workers"),
    [(16, 8, 1, 2), (100, 50, 2, 26), (100, 4, 1, 5), (68, 68, 1, 1), (50, 25, 2, 4)],
)  # steps x accumulation: 81 x 2, 13 x 1, 13 x 25, 19 x 1 and 26 x 1 micro-batches a rank
def test_a_rank_reads_the_fewest_shards_that_divide_its_batches(
    batch: int, micro: int, gpus: int, workers: int, tmp_path: Path, reviews: Dataset, bare: str
) -> None:
    recipe = recipe_with(tmp_path, global_batch=batch, per_device_train_batch_size=micro)
    assert plan(recipe, reviews, gpus=gpus, base=bare).config["dataloader_num_workers"] == workers


def test_a_warm_up_that_fits_needs_no_note(tmp_path: Path, reviews: Dataset, bare: str) -> None:
    for steps, noted in ((20, False), (21, True)):
        notes = plan(recipe_with(tmp_path, warmup_steps=steps), reviews, gpus=1, base=bare).notes
        assert any("warm-up" in note for note in notes) is noted
