"""Tiny random models of other families than Qwen2.5-VL, with their real processors and the tokenizer of nano.

vLLM's attention on a CPU needs heads of at least 32 numbers. Weights are enlarged, so that answers differ.
"""

from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoTokenizer,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    OpenAIGPTConfig,
    OpenAIGPTLMHeadModel,
    Qwen2VLImageProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

CHAT = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}"
    "{% if m['content'] is string %}{{ m['content'] }}{% else %}{% for c in m['content'] %}"
    "{% if c['type'] == 'text' %}{{ c['text'] }}"
    "{% else %}{{ '<|vision_start|><|' + c['type'] + '_pad|><|vision_end|>' }}{% endif %}{% endfor %}{% endif %}"
    "{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TEXT = {
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 16384,
}


def make_tiny(kind: str, nano: Path, out: Path) -> Path:
    """Write the model `kind` into the folder `out`: llama, qwen3_vl, or openai_gpt, which vLLM does not serve."""
    tokenizer: Any = AutoTokenizer.from_pretrained(nano)
    tokenizer.chat_template = CHAT
    torch.manual_seed(0)
    model, reader = {"llama": _llama, "qwen3_vl": _qwen3_vl, "openai_gpt": _openai_gpt}[kind](tokenizer)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() > 1 and "embed" not in name:
                weight.mul_(5)
    pad = tokenizer.pad_token_id
    model.generation_config = GenerationConfig(do_sample=False, eos_token_id=tokenizer.eos_token_id, pad_token_id=pad)
    model.save_pretrained(out)
    reader.save_pretrained(out)
    return out


def _llama(tokenizer: Any) -> tuple[Any, Any]:
    return LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **TEXT)), tokenizer


def _openai_gpt(tokenizer: Any) -> tuple[Any, Any]:
    config = OpenAIGPTConfig(vocab_size=len(tokenizer), n_positions=2048, n_embd=64, n_layer=2, n_head=2)
    return OpenAIGPTLMHeadModel(config), tokenizer


def _qwen3_vl(tokenizer: Any) -> tuple[Any, Any]:
    images, videos = (
        Qwen2VLImageProcessor(patch_size=16, min_pixels=65536, max_pixels=16777216),
        Qwen3VLVideoProcessor(),
    )
    rope = {"rope_theta": 1e6, "rope_type": "default", "mrope_section": [4, 6, 6], "mrope_interleaved": True}
    vision = {"depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": 128}
    names = ("image_pad", "video_pad", "vision_start", "vision_end")
    keys = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    marks = [tokenizer.convert_tokens_to_ids(f"<|{name}|>") for name in names]
    config = Qwen3VLConfig(
        text_config={"vocab_size": len(tokenizer), "head_dim": 32, "rope_parameters": rope, **TEXT},
        vision_config={"num_position_embeddings": 256, "deepstack_visual_indexes": [0, 1], **vision},
        **dict(zip(keys, marks, strict=True)),
    )
    processor: Any = Qwen3VLProcessor
    return Qwen3VLForConditionalGeneration(config), processor(images, tokenizer, videos, chat_template=CHAT)
