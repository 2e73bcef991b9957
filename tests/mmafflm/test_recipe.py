"""Plans: what is computed, what is refused and in which words, and LLaMA-Factory's own parser over every recipe."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mmafflm.dataset import Dataset
from mmafflm.errors import Fault
from mmafflm.media import Budget
from mmafflm.recipe import Plan, plan
from mmafflm.recipe_file import OURS, read_keys
from tests.look_alike import look_alike
from tests.mmafflm.tiny_data import make_data, make_record, text_records

RECIPES = Path(__file__).parents[2] / "train_configs"
NAMES = sorted(path.name for path in RECIPES.glob("*.yaml"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_data(tmp_path_factory.mktemp("data"), text_records(1300))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return look_alike(tmp_path_factory.mktemp("models") / "base")


def recipe_with(folder: Path, name: str = "nano.yaml", **changes: object) -> Path:
    """A copy of a shipped recipe with keys changed; None takes a key out. Nano takes steps of 16, 8 at a time."""
    steps = {"global_batch": 16, "per_device_train_batch_size": 8} if name == "nano.yaml" else {}
    spec = yaml.safe_load((RECIPES / name).read_text()) | steps | changes
    for key in ("deepspeed", "base"):
        if isinstance(spec.get(key), str):
            spec[key] = str(RECIPES / spec[key])
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(spec))  # null takes out what the base says too
    return path


def test_the_papers_numbers(data: Dataset, base: str) -> None:
    planned = plan(RECIPES / "mmafflm-3b.yaml", data, gpus=2, base=base)
    config = planned.config
    assert (config["max_steps"], config["gradient_accumulation_steps"], config["dataloader_num_workers"]) == (5, 128, 4)
    assert config["accelerator_config"] == {"dispatch_batches": False}
    assert config["learning_rate"] == 5e-6 and isinstance(config["learning_rate"], float)
    assert (config["image_max_pixels"], config["video_max_pixels"], config["cutoff_len"]) == (262144, 16384, 4096)
    assert config["warmup_steps"] == 1
    assert any("20 left over" in note for note in planned.notes)
    assert any("warm-up is 1 steps, not 100" in note for note in planned.notes)
    assert Path(config["deepspeed"]).is_absolute() and Path(config["media_dir"]) == data.path.resolve()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("gpus", [1, 2])
def test_every_recipe_keeps_its_batch_and_shards(name: str, gpus: int, data: Dataset, base: str) -> None:
    planned = plan(RECIPES / name, data, gpus=gpus, base=base)
    config = planned.config
    micro, accumulation = config["per_device_train_batch_size"], config["gradient_accumulation_steps"]
    assert micro * accumulation * gpus == planned.global_batch
    assert config["max_steps"] == 1300 // planned.global_batch
    workers = config["dataloader_num_workers"]
    assert workers % gpus == 0 and workers // gpus >= 2
    assert config["max_steps"] * accumulation % (workers // gpus) == 0  # equally many batches from each shard
    assert (RECIPES / name).read_text().startswith("# ") and f"train_configs/{name}" in (RECIPES / name).read_text()
    assert config["streaming"] is True and not set(OURS) & config.keys()
    assert config["report_to"] == "tensorboard" and config["logging_nan_inf_filter"] is False


def zero_stage(planned: Plan) -> int | None:
    path = planned.config.get("deepspeed")
    return json.loads(Path(path).read_text())["zero_optimization"]["stage"] if path else None


@pytest.mark.parametrize("name", NAMES)
def test_the_reference_facts_hold_in_every_recipe(name: str, data: Dataset, base: str) -> None:
    """Facts 1 to 14 of the training reference that a config can keep; the numbers are theirs."""
    planned = plan(RECIPES / name, data, gpus=2 if "mmafflm" in name else 1, base=base)
    config, stage = planned.config, zero_stage(planned)
    assert config["dataloader_num_workers"] >= 2 * planned.ranks  # 1, 5
    assert config["max_steps"] == 1300 // planned.global_batch and "num_train_epochs" not in config  # 2
    assert config["dataset"] == "mmaffin_train" and not {"mix_strategy", "interleave_probs"} & config.keys()  # 3
    assert config["accelerator_config"] == {"dispatch_batches": False} and "dispatch_batches" not in config  # 4
    assert stage != 3 or config["per_device_train_batch_size"] == 1  # 6
    assert stage != 2 or config["use_reentrant_gc"] is False  # 7
    assert stage is None or not config.get("use_cpu")  # 8
    assert not config.get("packing") and not config.get("neat_packing")  # 9
    assert {key: config[key] for key in Budget().to_json()} == Budget().to_json()  # 10 to 12
    assert config["cutoff_len"] == 4096 and config["template"] == "qwen2_vl"
    assert not config.get("predict_with_generate") and not config.get("do_predict")  # 14


@pytest.mark.parametrize("name", [*NAMES, "llamafactory/paper-as-run.yaml"])
def test_a_header_says_command_hardware_memory_and_what_was_run(name: str) -> None:
    header = (RECIPES / name).read_text().split("\n\n")[0]
    said = [f"train train_configs/{name}", "# Hardware assumed:", "# Reproduces:", "# Run:"]
    said += ["# Memory: " if name in ("nano.yaml", "pocket.yaml") else "# Memory, estimated: "]
    assert not [one for one in said if one not in header]
    assert all(line.startswith("#") for line in header.splitlines())


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_typed_twice(name: str) -> None:
    own = yaml.safe_load((RECIPES / name).read_text())
    if "base" in own:
        above = read_keys(RECIPES / own["base"])
        assert not [key for key in own if key in above and own[key] == above[key]]


def test_a_recipe_over_its_base(tmp_path: Path, data: Dataset, base: str) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "zero.json").write_text('{"zero_optimization": {"stage": 3}}')
    below = recipe_with(tmp_path, per_device_train_batch_size=1).rename(tmp_path / "below.yaml")
    below.write_text(below.read_text() + "deepspeed: zero.json\n")
    (tmp_path / "inner/middle.yaml").write_text("base: ../below.yaml\nlearning_rate: 5e-6\nseed: 7\n")
    (tmp_path / "top.yaml").write_text("base: inner/middle.yaml\nseed: 9\nwarmup_steps:\n")
    config = plan(tmp_path / "top.yaml", data, gpus=1, base=base).config
    assert (config["learning_rate"], config["seed"], config["lr_scheduler_type"]) == (5e-6, 9, "cosine")
    assert config["deepspeed"] == str((tmp_path / "zero.json").resolve())  # from the folder of the one that says it
    assert "warmup_steps" not in config and "base" not in config


def test_a_base_recipe_that_is_none(tmp_path: Path, data: Dataset, base: str) -> None:
    (tmp_path / "lost.yaml").write_text("base: gone.yaml\n")
    assert "lost.yaml: base: gone.yaml is not there" in refusal(tmp_path / "lost.yaml", data, base)
    (tmp_path / "a.yaml").write_text("base: b.yaml\n")
    (tmp_path / "b.yaml").write_text("base: a.yaml\n")
    said = refusal(tmp_path / "a.yaml", data, base)
    assert "a.yaml -> b.yaml -> a.yaml: a recipe cannot be its own base" in said
    (tmp_path / "c.yaml").write_text("base: d.yaml\n")
    (tmp_path / "d.yaml").write_text("max_steps: 3\n")
    assert "d.yaml: max_steps is computed" in refusal(tmp_path / "c.yaml", data, base)


def test_plan_refuses_changed_data(tmp_path: Path, base: str) -> None:
    changed = make_data(tmp_path / "data", text_records(32))
    with (changed.path / "mmaffin/mmaffin_train.jsonl").open("a") as rows:
        rows.write("{}\n")
    assert "mmaffin_train.jsonl: changed after the build" in refusal(RECIPES / "nano.yaml", changed, base)


PAPER = RECIPES / "llamafactory/paper-as-run.yaml"


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


def test_llamafactorys_parser_takes_every_recipe(tmp_path: Path, data: Dataset, base: str) -> None:
    pytest.importorskip("llamafactory")
    groups: dict[tuple[str, str], list[str]] = {("dict", "cpu"): []}
    for name in NAMES:
        planned = plan(RECIPES / name, data, gpus=1 if "mmafflm" not in name else 2, base=base, out=tmp_path / name)
        path = tmp_path / f"parsed-{name}"
        path.write_text(planned.to_yaml())
        key = ("dict" if "deepspeed" in planned.config else "plain", "cpu" if planned.cpu else "gpu")
        groups.setdefault(key, []).append(str(path))
    groups["dict", "gpu"].append(str(PAPER))
    for number, keys in enumerate(REPORTERS):
        path = tmp_path / f"reporter-{number}.yaml"
        planned = plan(recipe_with(tmp_path, **keys), data, gpus=1, base=base, out=tmp_path / "run")
        path.write_text(planned.to_yaml())
        groups["dict", "cpu"].append(str(path))
    env = os.environ | {"CUDA_VISIBLE_DEVICES": "", "DS_ACCELERATOR": "cpu", "HF_HUB_OFFLINE": "1"}
    for (how, hardware), paths in groups.items():
        command = [sys.executable, "-c", PARSE, how, hardware, *paths]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stderr[-2000:]
        # max_steps, dispatch_batches and streaming, a line a recipe; LLaMA-Factory's own messages stand between them
        assert sum(line.endswith(" False True") for line in done.stdout.splitlines()) == len(paths), done.stdout


def refusal(recipe: Path, data: Dataset, base: str | None, gpus: int = 1, nodes: int = 1) -> str:
    with pytest.raises(Fault) as caught:
        plan(recipe, data, gpus=gpus, nodes=nodes, base=base)
    return str(caught.value)


def test_a_typo_names_the_nearest_key(tmp_path: Path, data: Dataset, base: str) -> None:
    pytest.importorskip("llamafactory")
    assert "no key learning_rat. Did you mean learning_rate?" in refusal(
        recipe_with(tmp_path, learning_rat=1.0), data, base
    )
    assert "no key zzqx" in refusal(recipe_with(tmp_path, zzqx=1), data, base)


def test_a_secret_has_no_place_in_a_recipe(tmp_path: Path, data: Dataset, base: str) -> None:
    said = refusal(recipe_with(tmp_path, swanlab_api_key="x9y8"), data, base)
    assert "swanlab_api_key is a secret" in said and "x9y8" not in said
    below = {"address": "auto", "runtime_env": {"env_vars": {"NCCL_DEBUG": "INFO", "WANDB_API_KEY": "x9y8"}}}
    for kwargs in (below, json.dumps(below)):
        said = refusal(recipe_with(tmp_path, ray_init_kwargs=kwargs), data, base)
        assert "WANDB_API_KEY is a secret" in said and "x9y8" not in said
    kept = plan(recipe_with(tmp_path, ray_init_kwargs={"address": "auto", "namespace": "token"}), data, 1, base=base)
    assert kept.config["ray_init_kwargs"]["namespace"] == "token"


@pytest.mark.parametrize("keys", [{"validate_every": 50, "validate_rows": 4}, {"validate_every": 100}])
def test_what_is_validated_are_checkpoints(keys: dict[str, object], tmp_path: Path, data: Dataset, base: str) -> None:
    assert "validate_every is a multiple of save_steps (100)" in refusal(recipe_with(tmp_path, **keys), data, base)


@pytest.mark.parametrize("key", ["max_steps", "gradient_accumulation_steps", "dataloader_num_workers", "output_dir"])
def test_a_computed_key_is_refused(key: str, tmp_path: Path, data: Dataset, base: str) -> None:
    assert f"{key} is computed" in refusal(recipe_with(tmp_path, **{key: 0}), data, base)


def test_a_batch_that_does_not_divide_lists_what_works(data: Dataset, base: str) -> None:
    said = refusal(RECIPES / "mmafflm-3b.yaml", data, base, gpus=6)
    assert "--gpus 2 or 4 or 8 or 16 work" in said
    said = refusal(RECIPES / "mmafflm-3b.yaml", data, base, gpus=3, nodes=2)
    assert "--gpus 1 or 2 or 4 or 8 work" in said
    assert "no number of GPUs" in refusal(RECIPES / "mmafflm-3b.yaml", data, base, gpus=1, nodes=3)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"neat_packing": True}, "packing"),
        ({"packing": True}, "packing"),
        ({"deepspeed": "deepspeed/zero3.json", "use_cpu": True}, "turns DeepSpeed off"),
        ({"deepspeed": "deepspeed/zero3.json", "bf16": True}, "bf16: false"),
        ({"deepspeed": "deepspeed/zero3.json", "predict_with_generate": True}, "mmaffben predict"),
        ({"deepspeed": "deepspeed/zero2.json", "disable_gradient_checkpointing": None}, "use_reentrant_gc: false"),
        ({"deepspeed": "deepspeed/zero9.json"}, "zero9.json is not there"),
        ({"dataset": "XED_train,MMS_train"}, "mmaffin mix"),
        ({"mix_strategy": "interleave_over"}, "mmaffin mix"),
        ({"hardware": "tpu"}, "hardware is gpu or cpu"),
        ({"global_batch": "16"}, "global_batch must be given"),
        ({"per_device_train_batch_size": 3}, "does not divide"),
    ],
)
def test_what_breaks_is_refused(
    changes: dict[str, object], said: str, tmp_path: Path, data: Dataset, base: str
) -> None:
    assert said in refusal(recipe_with(tmp_path, **changes), data, base)


def test_zero3_with_images_and_videos_needs_batch_one(tmp_path: Path, base: str) -> None:
    records = [make_record(n, "x", "positive", images=n % 2, videos=1 - n % 2) for n in range(32)]
    data = make_data(tmp_path / "data", records)
    recipe = recipe_with(tmp_path, deepspeed="deepspeed/zero3.json")
    assert "images and videos" in refusal(recipe, data, base)
    plan(recipe_with(tmp_path, deepspeed="deepspeed/zero3.json", per_device_train_batch_size=1), data, 1, base=base)
    zero2 = {"deepspeed": "deepspeed/zero2.json", "use_reentrant_gc": False}
    plan(recipe_with(tmp_path, **zero2), data, 1, base=base)


def test_a_cutoff_that_cuts_names_the_record(tmp_path: Path, base: str) -> None:
    records = text_records(40)
    records[25] = make_record(25, "good " * 200, "positive")
    data = make_data(tmp_path / "data", records)
    said = refusal(recipe_with(tmp_path, cutoff_len=512), data, base)
    assert "onlineshopping/zh/train/000025" in said and "cutoff_len: " in said
    enough = int(said.rpartition("cutoff_len: ")[2].split()[0])
    plan(recipe_with(tmp_path, cutoff_len=enough), data, 1, base=base)
    assert "000025" in refusal(recipe_with(tmp_path, cutoff_len=enough - 1), data, base)


def test_an_empty_or_small_mix(tmp_path: Path, base: str) -> None:
    assert "mix is empty" in refusal(RECIPES / "nano.yaml", make_data(tmp_path / "none", []), base)
    said = refusal(RECIPES / "nano.yaml", make_data(tmp_path / "few", text_records(7)), base)
    assert "holds 7 examples, less than one global batch of 8" in said


def test_a_base_that_is_none(tmp_path: Path, data: Dataset, base: str) -> None:
    nano = RECIPES / "nano.yaml"
    assert "pass --base" in refusal(nano, data, None)
    assert "no such folder" in refusal(nano, data, str(tmp_path / "nowhere"))
    for name in ("config.json", "tokenizer.json", "preprocessor_config.json"):
        (tmp_path / name).write_text("{}")
    assert "no weights" in refusal(nano, data, str(tmp_path))
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "model-00001-of-00002.safetensors" in refusal(nano, data, str(tmp_path))
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map"')
    assert "index.json: cut short" in refusal(nano, data, str(tmp_path))


def test_a_recipe_that_is_none(tmp_path: Path, data: Dataset, base: str) -> None:
    assert "no such recipe" in refusal(tmp_path / "nothing.yaml", data, base)
    (tmp_path / "list.yaml").write_text("- a\n")
    assert "expected `key: value` lines" in refusal(tmp_path / "list.yaml", data, base)
    (tmp_path / "broken.yaml").write_text("a: [\n")
    assert "not YAML" in refusal(tmp_path / "broken.yaml", data, base)


def test_planning_imports_no_torch(data: Dataset, base: str) -> None:
    code = (
        "import sys; from pathlib import Path; from mmafflm.dataset import Dataset; from mmafflm.recipe import plan;"
        f"plan(Path({str(RECIPES / 'nano.yaml')!r}), Dataset.open(Path({str(data.path)!r})), 1, base={base!r});"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=RECIPES.parent)
