"""Qwen2.5-VL as a Family."""

from types import ModuleType
from typing import Any

from mmafflm.families.base import Conversation, Family, Mend, StandIn
from mmafflm.families.qwen2_5_vl.architecture import from_config
from mmafflm.families.qwen2_5_vl.media import MEDIA
from mmafflm.families.qwen2_5_vl.published import PUBLISHED

# LLaMA-Factory's template qwen2_vl, which has this system prompt by default.
CONVERSATION = Conversation(
    exchange="<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    "<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n{answer}<|im_end|>\n",
    tokens=22,
    end_of_turn="<|im_end|>",
)


def positions(*given: Any) -> Any:
    """Call rope.positions, which is imported here because rope.py needs torch."""
    from mmafflm.families.qwen2_5_vl import rope

    return rope.positions(*given)


def _mend(module: ModuleType) -> None:
    from mmafflm.families.qwen2_5_vl.rope import rope_index

    module.Qwen2_5_VLModel.get_rope_index = rope_index


def _standin() -> StandIn:
    from mmafflm.families.qwen2_5_vl.standin import STANDIN

    return STANDIN


FAMILY = Family(
    name="Qwen2.5-VL",
    model_types=("qwen2_5_vl",),
    template="qwen2_vl",
    conversation=CONVERSATION,
    media=MEDIA,
    architecture=from_config,
    published=PUBLISHED,
    mixed_media_hangs=True,
    positions=positions,
    mend=Mend("transformers.models.qwen2_5_vl.modeling_qwen2_5_vl", _mend),
    standin=_standin,
)
