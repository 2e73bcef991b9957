"""Plans for tiny bases of every family: their sizes, and what does not belong together."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmafflm.dataset import Dataset
from mmafflm.errors import Fault, UsageFault
from mmafflm.families.find import family_of
from mmafflm.train.plan.forecast import forecast, notes, require_gpu
from mmafflm.train.plan.plan import plan
from mmafflm.train.stream.similar import training_order
from tests.eval.tiny_families import Tiny, gemma3, internvl, qwen2_vl, qwen3_vl, write_tiny
from tests.mmafflm.families.test_seam import data_with
from tests.mmafflm.recipes import recipe_with

MAKE: dict[str, Callable[[Path], Tiny]] = {
    "qwen3_vl": qwen3_vl, "internvl": internvl, "gemma3": gemma3, "qwen2_vl": qwen2_vl,
}  # fmt: skip


@pytest.fixture(scope="module")
def bases(nano: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """{model_type: a tiny base}."""
    folder = tmp_path_factory.mktemp("bases")
    return {kind: write_tiny(make, nano, folder / kind) for kind, make in MAKE.items()}


def text_only(folder: Path) -> Dataset:
    return data_with(folder)[0]


@pytest.mark.parametrize("kind", MAKE)
def test_a_tiny_base_has_its_own_size_and_template(kind: str, bases: dict[str, Path], tmp_path: Path) -> None:
    from transformers import AutoModelForImageTextToText

    base = bases[kind]
    planned = plan(recipe_with(tmp_path), text_only(tmp_path / "data"), gpus=1, base=str(base))
    known = forecast(planned)
    auto: Any = AutoModelForImageTextToText
    assert known and known.size.parameters == auto.from_pretrained(base).num_parameters()
    family = family_of(kind)
    assert planned.config["template"] == family.template
    assert {key: planned.config[key] for key in family.keys} == family.keys


def test_another_familys_template_is_refused(bases: dict[str, Path], tmp_path: Path) -> None:
    recipe = recipe_with(tmp_path, template="qwen2_vl")
    with pytest.raises(UsageFault, match=r"qwen3_vl is Qwen3-VL, which is trained with qwen3_vl_nothink.*Remove"):
        plan(recipe, text_only(tmp_path / "data"), gpus=1, base=str(bases["qwen3_vl"]))


def test_a_key_that_evaluation_does_not_follow_is_refused(bases: dict[str, Path], tmp_path: Path) -> None:
    recipe = recipe_with(tmp_path, crop_to_patches=False)
    with pytest.raises(UsageFault, match="crop_to_patches: False, but InternVL3 needs True"):
        plan(recipe, text_only(tmp_path / "data"), gpus=1, base=str(bases["internvl"]))


def test_clips_are_refused_where_a_family_takes_none(bases: dict[str, Path], tmp_path: Path) -> None:
    data, _ = data_with(tmp_path / "data", images=2, videos=3)
    with pytest.raises(UsageFault, match=r"Gemma 3 takes no clips, and 3 records .*mmaffin mix .*\[text, image\]"):
        plan(recipe_with(tmp_path), data, gpus=1, base=str(bases["gemma3"]))
    pictures, _ = data_with(tmp_path / "pictures", images=2)
    assert plan(recipe_with(tmp_path), pictures, gpus=1, base=str(bases["gemma3"])).mix.vision_tokens == 2 * 260


def test_pictures_and_clips_in_one_micro_batch_are_refused_where_they_are_swapped(
    bases: dict[str, Path], tmp_path: Path
) -> None:
    data, _ = data_with(tmp_path / "data", images=2, videos=2)
    base = str(bases["internvl"])
    with pytest.raises(UsageFault, match=r"gives InternVL3 the pictures first.* Set per_device_train_batch_size: 1"):
        plan(recipe_with(tmp_path), data, gpus=1, base=base)
    plan(recipe_with(tmp_path, per_device_train_batch_size=1), data, gpus=1, base=base)
    sorted_ = plan(recipe_with(tmp_path, similar_lengths=True), data, gpus=1, base=base)
    assert training_order(sorted_, data).size == sorted_.examples  # texts keep them apart


def test_a_family_that_cannot_be_trained_is_refused(tmp_path: Path, bases: dict[str, Path]) -> None:
    base = bases["qwen2_vl"]
    config = json.loads((base / "config.json").read_text())
    other = tmp_path / "other"
    other.mkdir()
    for path in base.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    (other / "config.json").write_text(json.dumps(config | {"model_type": "llava_onevision"}))
    with pytest.raises(Fault, match=r"model_type is llava_onevision, which is not supported; supported are .*qwen3_vl"):
        plan(recipe_with(tmp_path), text_only(tmp_path / "data"), gpus=1, base=str(other))
    del config["text_config"]["num_hidden_layers"]
    (other / "config.json").write_text(json.dumps(config))
    planned = plan(recipe_with(tmp_path), text_only(tmp_path / "less"), gpus=1, base=str(other))
    (told,) = notes(planned, tmp_path)
    assert told.startswith("No estimate: the config.json of ") and "has no num_hidden_layers" in told
    with pytest.raises(UsageFault, match="has no num_hidden_layers"):
        require_gpu(planned, "A100-80")
    (other / "config.json").write_text("{}")
    planned = plan(recipe_with(tmp_path), text_only(tmp_path / "none"), gpus=1, base=str(other))
    assert any("its config.json has no model_type, so we assume that it is Qwen2.5-VL" in one for one in planned.notes)


def test_a_frame_that_the_processor_refuses_is_named(bases: dict[str, Path], tmp_path: Path) -> None:
    """Qwen3-VL's video processor refuses sides below 32 pixels; the build's family takes 28."""
    data, _ = data_with(tmp_path / "data", videos=1, size=(600, 28))
    with pytest.raises(Fault, match=r"0\.png: a frame of 585 x 28: Qwen3-VL accepts no side below 32"):
        plan(recipe_with(tmp_path), data, gpus=1, base=str(bases["qwen3_vl"]))
