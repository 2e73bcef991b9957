"""Every family's parameter counts equal those of the architecture itself, part by part, and of LoRA's adapters."""

from types import SimpleNamespace
from typing import Any

import pytest

from mmafflm.families.base import Architecture, Trainable
from mmafflm.families.find import architecture_of, families

COUNTS = {
    "Qwen/Qwen2-VL-2B-Instruct": 2_208_985_600,
    "Qwen/Qwen2-VL-7B-Instruct": 8_291_375_616,
    "Qwen/Qwen2.5-VL-3B-Instruct": 3_754_622_976,
    "Qwen/Qwen2.5-VL-7B-Instruct": 8_292_166_656,
    "Qwen/Qwen3-VL-4B-Instruct": 4_437_815_808,
    "Qwen/Qwen3-VL-8B-Instruct": 8_767_123_696,
    "OpenGVLab/InternVL3-2B-hf": 2_088_957_440,
    "OpenGVLab/InternVL3-8B-hf": 7_944_373_760,
    "google/gemma-3-4b-it": 4_300_079_472,
}
FULL = {"finetuning_type": "full", "freeze_vision_tower": False, "freeze_multi_modal_projector": False}
RANK = 64


def sizes(name: str) -> Architecture:
    found = architecture_of(name)
    assert found
    return found


def test_every_published_model_has_its_count() -> None:
    assert {name for family in families() for name in family.published} == set(COUNTS)


@pytest.mark.parametrize("name", COUNTS)
def test_the_counts_by_arithmetic(name: str) -> None:
    size = sizes(name)
    assert size.parameters == COUNTS[name] and size == sizes(name.rpartition("/")[2])
    assert size.trainable(FULL) == Trainable(size.text, size.vision, size.projector)
    assert size.trainable(FULL | {"freeze_vision_tower": True}).total == size.parameters - size.vision


@pytest.mark.slow
@pytest.mark.parametrize("name", COUNTS)
def test_the_counts_by_the_architecture_itself(name: str) -> None:
    """On torch's meta device, with the parts and the adapted layers that LLaMA-Factory chooses."""
    visual = pytest.importorskip("llamafactory.model.model_utils.visual")
    import torch
    from llamafactory.model.model_utils.misc import find_all_linear_modules
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForImageTextToText

    config = dict(next(family.published[name] for family in families() if name in family.published))
    auto: Any = AutoModelForImageTextToText
    with torch.device("meta"):
        model = auto.from_config(AutoConfig.for_model(**config))
    model.tie_weights()
    size, theirs = sizes(name), visual.COMPOSITE_MODELS[config["model_type"]]
    keys = {"vision": theirs.vision_model_keys, "projector": theirs.projector_keys, "text": theirs.language_model_keys}
    counts = dict.fromkeys(keys, 0)
    for where, one in model.named_parameters():
        counts[next(part for part, names in keys.items() if any(key in where for key in names))] += one.numel()
    assert counts == {"vision": size.vision, "projector": size.projector, "text": size.text}
    assert sum(counts.values()) == COUNTS[name]
    tuned = SimpleNamespace(freeze_vision_tower=False, freeze_multi_modal_projector=True, freeze_language_model=False)
    chosen = visual.patch_target_modules(model, tuned, find_all_linear_modules(model, freeze_vision_tower=False))
    with torch.device("meta"):
        adapted = get_peft_model(model, LoraConfig(r=RANK, target_modules=chosen))
    trained = sum(one.numel() for one in adapted.parameters() if one.requires_grad)
    assert trained == size.trainable({"lora_rank": RANK, "freeze_vision_tower": False}).total
