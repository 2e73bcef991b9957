"""Gemma 3: a picture is 256 tokens whatever its size. Clips are not supported.

LLaMA-Factory's plugin gemma3 and transformers' Gemma3Processor scale every picture to a square of 896 x 896. Both can
also cut crops from long pictures (pan and scan), but do not by default. The published chat template removes white space
around each part of a question; LLaMA-Factory's template gemma3 does not. So the engines use CHAT_TEMPLATE, which writes
the same prompts as training.

Sizes: transformers' convert_gemma3_weights.py (variant gemma3_4b, and _VISION_CONFIG). The vocabulary has the 262,208
entries of Gemma3TextConfig: the conversion adds 64 rows for the tokens of pictures. The published config.json leaves
out what equals the class's defaults (DEFAULTS); it was not available here. A test builds the model on torch's meta
device, with 4,300,079,472 parameters.
"""

from mmafflm.families.base import Architecture, Config, Conversation, Family, KeptNumbers, Marks, Media, MediaSize
from mmafflm.families.decoder import decoder, dtype_of
from mmafflm.families.internvl import fit

SIDE, TOKENS, PATCH, CHANNELS = 896, 256, 14, 3
IMAGE = Marks("\n\n<start_of_image>", "<image_soft_token>", "<end_of_image>\n\n")
DEFAULTS = {"num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "vocab_size": 262208}
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "<start_of_turn>{{ 'model' if message['role'] == 'assistant' else message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<start_of_image>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)


def tokens(size: MediaSize) -> int:
    """Tokens of a picture in the prompt. Its marks are two special tokens and two double line breaks."""
    return TOKENS + 4


def text(size: MediaSize) -> str:
    """The text that represents a picture in the prompt."""
    return IMAGE.around(TOKENS)


def architecture(config: Config) -> Architecture:
    """The sizes of a config.json. Raises KeyError when one is missing."""
    vision = config["vision_config"]
    hidden, wide, depth = (int(vision[key]) for key in ("hidden_size", "intermediate_size", "num_hidden_layers"))
    patch = int(vision.get("patch_size", PATCH))
    patches, patch_values = (int(vision.get("image_size", SIDE)) // patch) ** 2, CHANNELS * patch**2
    given = {"tie_word_embeddings": True, **config, "text_config": DEFAULTS | config["text_config"]}
    text = decoder(given, head_norms=True, norms=4)
    mlp, attention = 2 * hidden * wide + wide + hidden, 4 * hidden**2 + 4 * hidden
    head = hidden + attention + 2 * hidden + mlp if vision.get("vision_use_head", True) else 0
    return Architecture(
        **text.fields(),
        vision=(patch_values + 1 + patches) * hidden + depth * (attention + mlp + 4 * hidden) + 2 * hidden + head,
        projector=hidden * text.hidden + hidden,
        vision_hidden=hidden,
        vision_intermediate=wide,
        depth=depth,
        patch_values=patch_values,
        patches_a_token=max(1, patches // int(config.get("mm_tokens_per_image", TOKENS))),
        vision_block=KeptNumbers(2 * hidden, 9 * hidden + 2 * wide),
        merging=KeptNumbers(hidden, hidden),  # the norm of the pooled patches, a sixteenth of them, is left out
        lora_vision=depth * (8 * hidden + 2 * (hidden + wide)),
        dtype=dtype_of(config),
    )


FAMILY = Family(
    name="Gemma 3",
    model_types=("gemma3",),
    template="gemma3",
    conversation=Conversation(
        exchange="<bos><start_of_turn>user\n{prompt}<end_of_turn>\n<start_of_turn>model\n{answer}<end_of_turn>\n",
        tokens=11,
        end_of_turn="<end_of_turn>",
    ),
    media=Media(("image",), IMAGE, IMAGE, 1, SIDE**2, 1, fit, tokens, text),
    architecture=architecture,
    published={
        "google/gemma-3-4b-it": {
            "model_type": "gemma3", "dtype": "bfloat16", "mm_tokens_per_image": TOKENS,
            "text_config": {"hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34, **DEFAULTS},
            "vision_config": {"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27,
                              "num_attention_heads": 16, "image_size": SIDE, "patch_size": PATCH,
                              "vision_use_head": False},
        }
    },
    mixed_media_hangs=False,
    chat_template=CHAT_TEMPLATE,
)  # fmt: skip
