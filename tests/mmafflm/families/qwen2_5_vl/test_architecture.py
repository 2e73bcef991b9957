"""Qwen2.5-VL's published parameter counts agree with our arithmetic and with the architecture itself."""

from typing import Any

import pytest

from mmafflm.families.base import Trainable
from mmafflm.families.find import architecture_of
from mmafflm.families.qwen2_5_vl.architecture import from_config
from mmafflm.families.qwen2_5_vl.published import PUBLISHED

COUNTS = {"Qwen/Qwen2.5-VL-3B-Instruct": 3_754_622_976, "Qwen/Qwen2.5-VL-7B-Instruct": 8_292_166_656}
FULL = {"finetuning_type": "full", "freeze_vision_tower": False, "freeze_multi_modal_projector": False}


@pytest.mark.parametrize("name", COUNTS)
def test_the_published_counts_by_arithmetic(name: str) -> None:
    size = architecture_of(name)
    assert size and size.parameters == COUNTS[name] and size == architecture_of(name.rpartition("/")[2])
    assert size.trainable(FULL) == Trainable(size.text, size.vision, size.projector)
    assert size.trainable(FULL | {"freeze_vision_tower": True}).total == size.parameters - size.vision
    # as on the hub: the text's keys are at the top level
    nested = PUBLISHED[name]
    flat = {key: value for key, value in nested.items() if key != "text_config"} | nested["text_config"]
    assert from_config(flat) == size


@pytest.mark.slow
@pytest.mark.parametrize("name", COUNTS)
def test_the_published_counts_by_the_architecture_itself(name: str) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    with torch.device("meta"):
        model: Any = Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(**PUBLISHED[name]))
    model.tie_weights()
    assert sum(one.numel() for one in model.parameters()) == COUNTS[name]
    size = architecture_of(name)
    assert size
    assert size.vision + size.projector == sum(one.numel() for one in model.model.visual.parameters())
    assert size.projector == sum(one.numel() for one in model.model.visual.merger.parameters())
    kinds = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "qkv", "proj")
    found = [where for where, _ in model.named_modules() if where.split(".")[-1] in kinds and "patch" not in where]
    with torch.device("meta"):
        adapted = get_peft_model(model, LoraConfig(r=64, target_modules=found))
    trained = sum(one.numel() for one in adapted.parameters() if one.requires_grad)
    assert trained == size.trainable({"lora_rank": 64, "freeze_vision_tower": False}).total
