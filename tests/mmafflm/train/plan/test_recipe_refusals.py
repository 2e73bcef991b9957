"""Recipes, bases and data that `plan` refuses, and the messages."""

import json
from pathlib import Path

import pytest

from mmafflm.dataset import Dataset
from mmafflm.errors import Fault
from mmafflm.train.plan.plan import plan
from tests.mmafflm.recipes import RECIPES, recipe_with
from tests.mmafflm.tiny_data import make_data, make_record, text_records


def refusal(recipe: Path, data: Dataset, base: str | None, gpus: int = 1, nodes: int = 1) -> str:
    with pytest.raises(Fault) as caught:
        plan(recipe, data, gpus=gpus, nodes=nodes, base=base)
    return str(caught.value)


def test_a_base_recipe_that_is_none(tmp_path: Path, reviews: Dataset, bare: str) -> None:
    (tmp_path / "lost.yaml").write_text("extends: gone.yaml\n")
    assert "lost.yaml: extends: gone.yaml does not exist" in refusal(tmp_path / "lost.yaml", reviews, bare)
    (tmp_path / "a.yaml").write_text("extends: b.yaml\n")
    (tmp_path / "b.yaml").write_text("extends: a.yaml\n")
    said = refusal(tmp_path / "a.yaml", reviews, bare)
    assert "a.yaml -> b.yaml -> a.yaml: a recipe cannot extend itself" in said
    (tmp_path / "c.yaml").write_text("extends: d.yaml\n")
    (tmp_path / "d.yaml").write_text("max_steps: 3\n")
    assert "d.yaml: max_steps is computed" in refusal(tmp_path / "c.yaml", reviews, bare)


def test_plan_refuses_changed_data(tmp_path: Path, bare: str) -> None:
    changed = make_data(tmp_path / "data", text_records(32))
    with (changed.path / "mmaffin/mmaffin_train.jsonl").open("a") as rows:
        rows.write("{}\n")
    assert "mmaffin_train.jsonl: changed after the build" in refusal(RECIPES / "nano.yaml", changed, bare)


def test_a_typo_names_the_nearest_key(tmp_path: Path, reviews: Dataset, bare: str) -> None:
    pytest.importorskip("llamafactory")
    assert "no key learning_rat. Did you mean learning_rate?" in refusal(
        recipe_with(tmp_path, learning_rat=1.0), reviews, bare
    )
    assert "no key zzqx" in refusal(recipe_with(tmp_path, zzqx=1), reviews, bare)


def test_a_secret_has_no_place_in_a_recipe(tmp_path: Path, reviews: Dataset, bare: str) -> None:
    said = refusal(recipe_with(tmp_path, swanlab_api_key="x9y8"), reviews, bare)
    assert "swanlab_api_key is a secret" in said and "x9y8" not in said
    below = {"address": "auto", "runtime_env": {"env_vars": {"NCCL_DEBUG": "INFO", "WANDB_API_KEY": "x9y8"}}}
    for kwargs in (below, json.dumps(below)):
        said = refusal(recipe_with(tmp_path, ray_init_kwargs=kwargs), reviews, bare)
        assert "WANDB_API_KEY is a secret" in said and "x9y8" not in said
    kept = plan(recipe_with(tmp_path, ray_init_kwargs={"address": "auto", "namespace": "token"}), reviews, 1, base=bare)
    assert kept.config["ray_init_kwargs"]["namespace"] == "token"


@pytest.mark.parametrize("keys", [{"validate_every": 50, "validate_rows": 4}, {"validate_every": 100}])
def test_what_is_validated_are_checkpoints(
    keys: dict[str, object], tmp_path: Path, reviews: Dataset, bare: str
) -> None:
    said = refusal(recipe_with(tmp_path, **keys), reviews, bare)
    assert "validate_every must be a multiple of save_steps (100)" in said
    said = refusal(recipe_with(tmp_path, validate_every=100, validate_rows=4, save_steps=0), reviews, bare)
    assert "must be a multiple of save_steps (0)" in said


@pytest.mark.parametrize("key", ["max_steps", "gradient_accumulation_steps", "dataloader_num_workers", "output_dir"])
def test_a_computed_key_is_refused(key: str, tmp_path: Path, reviews: Dataset, bare: str) -> None:
    assert f"{key} is computed" in refusal(recipe_with(tmp_path, **{key: 0}), reviews, bare)


def test_a_batch_that_does_not_divide_lists_what_works(reviews: Dataset, bare: str) -> None:
    said = refusal(RECIPES / "mmafflm-3b.yaml", reviews, bare, gpus=6)
    assert "--gpus 2 or 4 or 8 or 16 work" in said
    said = refusal(RECIPES / "mmafflm-3b.yaml", reviews, bare, gpus=3, nodes=2)
    assert "--gpus 1 or 2 or 4 or 8 work" in said
    assert "no number of GPUs" in refusal(RECIPES / "mmafflm-3b.yaml", reviews, bare, gpus=1, nodes=3)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"neat_packing": True}, "packing"),
        ({"packing": True}, "packing"),
        ({"deepspeed": "deepspeed/zero3.json", "use_cpu": True}, "turns DeepSpeed off"),
        ({"deepspeed": "deepspeed/zero3.json", "bf16": True}, "bf16: false"),
        ({"deepspeed": "deepspeed/zero3.json", "predict_with_generate": True}, "mmaffben predict"),
        ({"deepspeed": "deepspeed/zero2.json", "disable_gradient_checkpointing": None}, "use_reentrant_gc: false"),
        ({"deepspeed": "deepspeed/zero9.json"}, "zero9.json does not exist"),
        ({"dataset": "XED_train,MMS_train"}, "mmaffin mix"),
        ({"mix_strategy": "interleave_over"}, "mmaffin mix"),
        ({"hardware": "tpu"}, "hardware must be gpu or cpu"),
        ({"global_batch": "16"}, "global_batch is missing, or"),
        ({"per_device_train_batch_size": 3}, "does not divide"),
    ],
)
def test_what_breaks_is_refused(
    changes: dict[str, object], said: str, tmp_path: Path, reviews: Dataset, bare: str
) -> None:
    assert said in refusal(recipe_with(tmp_path, **changes), reviews, bare)


def test_zero3_with_images_and_videos_needs_batch_one(tmp_path: Path, bare: str) -> None:
    records = [make_record(n, "x", "positive", images=n % 2, videos=1 - n % 2) for n in range(32)]
    data = make_data(tmp_path / "data", records)
    recipe = recipe_with(tmp_path, deepspeed="deepspeed/zero3.json")
    assert "images and videos" in refusal(recipe, data, bare)
    plan(recipe_with(tmp_path, deepspeed="deepspeed/zero3.json", per_device_train_batch_size=1), data, 1, base=bare)
    zero2 = {"deepspeed": "deepspeed/zero2.json", "use_reentrant_gc": False}
    plan(recipe_with(tmp_path, **zero2), data, 1, base=bare)


def test_a_cutoff_that_cuts_names_the_record(tmp_path: Path, bare: str) -> None:
    records = text_records(40)
    records[25] = make_record(25, "good " * 200, "positive")
    data = make_data(tmp_path / "data", records)
    said = refusal(recipe_with(tmp_path, cutoff_len=512), data, bare)
    assert "onlineshopping/zh/train/000025" in said and "cutoff_len: " in said
    enough = int(said.rpartition("cutoff_len: ")[2].split()[0])
    plan(recipe_with(tmp_path, cutoff_len=enough), data, 1, base=bare)
    assert "000025" in refusal(recipe_with(tmp_path, cutoff_len=enough - 1), data, bare)


def test_an_empty_or_small_mix(tmp_path: Path, bare: str) -> None:
    assert "mix is empty" in refusal(RECIPES / "nano.yaml", make_data(tmp_path / "none", []), bare)
    said = refusal(RECIPES / "nano.yaml", make_data(tmp_path / "few", text_records(7)), bare)
    assert "holds 7 examples, less than one global batch of 8" in said


def test_a_base_that_is_none(tmp_path: Path, reviews: Dataset, bare: str) -> None:
    nano = RECIPES / "nano.yaml"
    assert "Pass --base" in refusal(nano, reviews, None)
    assert "no such folder" in refusal(nano, reviews, str(tmp_path / "nowhere"))
    for name in ("config.json", "tokenizer.json", "preprocessor_config.json"):
        (tmp_path / name).write_text("{}")
    assert "no weights" in refusal(nano, reviews, str(tmp_path))
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "model-00001-of-00002.safetensors" in refusal(nano, reviews, str(tmp_path))
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map"')
    assert "index.json: not JSON" in refusal(nano, reviews, str(tmp_path))


def test_a_recipe_that_is_none(tmp_path: Path, reviews: Dataset, bare: str) -> None:
    assert "no such recipe" in refusal(tmp_path / "nothing.yaml", reviews, bare)
    (tmp_path / "list.yaml").write_text("- a\n")
    assert "expected `key: value` lines" in refusal(tmp_path / "list.yaml", reviews, bare)
    (tmp_path / "broken.yaml").write_text("a: [\n")
    assert "not YAML" in refusal(tmp_path / "broken.yaml", reviews, bare)


def test_what_was_not_seen_to_break_is_planned(
    tmp_path: Path, reviews: Dataset, bare: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    zero2 = {"deepspeed": "deepspeed/zero2.json", "disable_gradient_checkpointing": None}
    assert "use_reentrant_gc: false" in refusal(recipe_with(tmp_path, **zero2), reviews, bare)  # true by default
    assert "use_reentrant_gc: false" in refusal(recipe_with(tmp_path, **zero2, use_reentrant_gc=True), reviews, bare)
    plan(recipe_with(tmp_path, **zero2, use_reentrant_gc=False), reviews, 1, base=bare)
    plan(recipe_with(tmp_path, deepspeed="deepspeed/zero2.json", disable_gradient_checkpointing=True), reviews, 1,
         base=bare)  # fmt: skip
    plan(recipe_with(tmp_path, validate_every=200, validate_rows=7), reviews, 1, base=bare)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")  # a recipe for the CPU takes one process, whatever is here
    assert plan(recipe_with(tmp_path), reviews, base=bare).gpus == 1


def test_the_usual_steps_between_checkpoints_are_the_trainers(tmp_path: Path, reviews: Dataset, bare: str) -> None:
    keys = {"save_steps": None, "validate_rows": 4}
    assert "save_steps (500)" in refusal(recipe_with(tmp_path, **keys, validate_every=100), reviews, bare)
    assert plan(recipe_with(tmp_path, **keys, validate_every=1000), reviews, 1, base=bare).validate == (1000, 4)


def test_the_usual_cutoff_is_llamafactorys(tmp_path: Path, bare: str) -> None:
    data = make_data(tmp_path / "data", [*text_records(20), make_record(20, "good " * 500, "positive")])
    assert "cutoff_len 2048 would cut 1 records" in refusal(recipe_with(tmp_path, cutoff_len=None), data, bare)
    plan(recipe_with(tmp_path, cutoff_len=4096), data, 1, base=bare)
