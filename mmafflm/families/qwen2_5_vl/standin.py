"""The parts of a Qwen2.5-VL stand-in: tokens, chat template, and Qwen2.5-VL's own model and processor classes."""

from typing import Any

from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
)
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

from mmafflm.families.base import StandIn
from mmafflm.families.qwen2_5_vl.media import MAX_PIXELS, MERGE, MIN_PIXELS, PATCH, TEMPORAL

# In SmolLM2 the three chat tokens have the ids 0 to 2. It has no vision tokens, so they are added after its vocabulary.
CHAT_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
VISION_TOKENS = (
    *("<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>"),
    *("<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
)
# From the tokenizer_config.json of the published models.
CHAT_TEMPLATE = (
    "{% set image_count = namespace(value=0) %}{% set video_count = namespace(value=0) %}"
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n"
    "{% else %}{% for content in message['content'] %}"
    "{% if content['type'] == 'image' or 'image' in content or 'image_url' in content %}"
    "{% set image_count.value = image_count.value + 1 %}"
    "{% if add_vision_id %}Picture {{ image_count.value }}: {% endif %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif content['type'] == 'video' or 'video' in content %}"
    "{% set video_count.value = video_count.value + 1 %}"
    "{% if add_vision_id %}Video {{ video_count.value }}: {% endif %}<|vision_start|><|video_pad|><|vision_end|>"
    "{% elif 'text' in content %}{{ content['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def _model(text: dict[str, Any], vision: dict[str, Any], tokenizer: Any) -> Any:
    """A Qwen2_5_VLForConditionalGeneration with random weights in float32."""
    ids = tokenizer.convert_tokens_to_ids
    special = {"bos_token_id": None, "eos_token_id": ids("<|im_end|>"), "pad_token_id": ids("<|endoftext|>")}
    sizes = {"patch_size": PATCH, "spatial_merge_size": MERGE, "temporal_patch_size": TEMPORAL, "tokens_per_second": 2}
    config = Qwen2_5_VLConfig(
        text_config={**text, **special, "vocab_size": len(tokenizer), "tie_word_embeddings": True},
        vision_config={**vision, **sizes, "out_hidden_size": text["hidden_size"]},
        image_token_id=ids("<|image_pad|>"),
        video_token_id=ids("<|video_pad|>"),
        vision_start_token_id=ids("<|vision_start|>"),
        vision_end_token_id=ids("<|vision_end|>"),
        tie_word_embeddings=True,
        **special,
    )
    made: Any = Qwen2_5_VLForConditionalGeneration
    return made(config)


def _processor(tokenizer: Any) -> Any:
    # With transformers' default limits instead of these, a frame of 128x128 is scaled up to 8 times the tokens.
    sizes: dict[str, Any] = {"min_pixels": MIN_PIXELS, "max_pixels": MAX_PIXELS}
    sizes |= {"patch_size": PATCH, "merge_size": MERGE, "temporal_patch_size": TEMPORAL}
    made: Any = Qwen2_5_VLProcessor
    images: Any = Qwen2VLImageProcessor
    videos: Any = Qwen2VLVideoProcessor
    return made(images(**sizes), tokenizer, videos(**sizes), chat_template=CHAT_TEMPLATE)


STANDIN = StandIn(CHAT_TOKENS, VISION_TOKENS, CHAT_TEMPLATE, _model, _processor)
