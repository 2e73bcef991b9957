"""InternVL3 in the form of transformers (the hub's names end in -hf): tiles of 448 x 448, 256 tokens each.

A picture is cut into the grid of at most 12 tiles whose shape is closest to the picture's. If there are several tiles,
one more shows the whole picture. A frame is one tile. The size decides only between grids of the same shape: a picture
of 640 x 480 has 12 tiles and one more, a square one of 512 x 512 a single tile.

LLaMA-Factory cuts tiles only with `crop_to_patches: true`, and transformers' InternVLProcessor always does, so `plan`
sets that key. LLaMA-Factory's template intern_vl has a system prompt and puts a picture at its place in the question;
the published template has no system prompt and starts a new line after each picture. So the engines use CHAT_TEMPLATE,
which writes the same prompts as training. LLaMA-Factory's plugin puts all pictures of a micro-batch before all clips,
and the model fills the rows' tokens in order: a row with a clip before a row with a picture would get that picture. So
`plan` refuses micro-batches of several rows if the mix has both.

Sizes: transformers' InternVLVisionConfig has the tower (InternViT-300M) as its defaults. The decoder of 2B (28 layers,
1536 wide, 12 and 2 heads, a vocabulary of 151674) is in NVIDIA's TensorRT-Model-Connect (its test of InternVL's runtime
config). The feed-forward width 8960 is Qwen2.5-1.5B's, and 8B has the sizes of Qwen2.5-7B (the decoders are called
Qwen2 in transformers' conversion script). No config.json confirms the width of the feed-forward layers, nor that the
head is not tied to the embedding. The latter follows from the size of the 2B model: it is given as 2.1B and would be
1.86B with a tied head. A test builds both models on torch's meta device, with 2,088,957,440 and 7,944,373,760
parameters.
"""

from math import inf

from mmafflm.families.base import Architecture, Config, Conversation, Family, KeptNumbers, Marks, Media, MediaSize
from mmafflm.families.decoder import decoder, dtype_of

TILE, MOST_TILES, TOKENS, PATCH, CHANNELS = 448, 12, 256, 14, 3
IMAGE = Marks("<img>", "<IMG_CONTEXT>", "</img>")
SYSTEM = "你是书生·万象，英文名是InternVL，是由上海人工智能实验室、清华大学及多家合作单位联合开发的多模态大语言模型。"
CHAT_TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\n" + SYSTEM + "<|im_end|>\n{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<IMG_CONTEXT>{% elif part['type'] == 'video' %}<video>"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def fit(width: int, height: int, least: int, most: int) -> tuple[int, int]:
    """The size to which LLaMA-Factory's MMPluginMixin._preprocess_image scales a picture; least, most: pixels."""
    for limit, over in ((most, width * height > most), (least, width * height < least)):
        if over:
            factor = (limit / (width * height)) ** 0.5
            width, height = int(width * factor), int(height * factor)
    return width, height


def tiles(width: int, height: int) -> int:
    """The number of tiles, with the one that shows the whole picture (transformers' get_optimal_tiled_canvas)."""
    shapes = [(w, h) for w in range(1, MOST_TILES + 1) for h in range(1, MOST_TILES + 1) if w * h <= MOST_TILES]
    best, difference = 1, inf
    for columns, rows in sorted(shapes, key=lambda shape: shape[0] * shape[1]):
        found = abs(width / height - columns / rows)
        # among grids of the same shape, choose the largest whose area is below twice that of the picture
        if found < difference or (found == difference and width * height > 0.5 * TILE**2 * columns * rows):
            best, difference = columns * rows, found
    return best if best == 1 else best + 1


def tokens(size: MediaSize) -> int:
    """Tokens of a picture or clip in the prompt, with marks. Each frame has its own line: "Frame1: " and so on."""
    if size.frames is None:
        return TOKENS * tiles(size.width, size.height) + 2
    words = sum(3 + len(str(number)) for number in range(1, size.frames + 1))  # "Frame", digits, ":", " "
    return size.frames * (TOKENS + 2) + words + size.frames - 1


def text(size: MediaSize) -> str:
    """The text that represents a picture or clip in the prompt."""
    if size.frames is None:
        return IMAGE.around(TOKENS * tiles(size.width, size.height))
    return "\n".join(f"Frame{number}: {IMAGE.around(TOKENS)}" for number in range(1, size.frames + 1))


def architecture(config: Config) -> Architecture:
    """The sizes of a config.json. Raises KeyError when one is missing, or for a tower with other norms."""
    vision = config["vision_config"]
    hidden, wide, depth = (int(vision[key]) for key in ("hidden_size", "intermediate_size", "num_hidden_layers"))
    if vision.get("norm_type", "layer_norm") != "layer_norm":
        raise KeyError("norm_type")
    image, patch = (_side(vision.get(key, usual)) for key, usual in (("image_size", TILE), ("patch_size", PATCH)))
    patches, patch_values = (image // patch) ** 2, CHANNELS * patch**2
    text, merged = decoder(config, biases=True), 4 * hidden
    extra = 3 * bool(vision.get("attention_bias", False)) + 2 * bool(vision.get("use_qk_norm", False))
    block = 4 * hidden**2 + 2 * hidden * wide + wide + (8 + extra) * hidden  # two norms, two scales, two biases
    return Architecture(
        **text.fields(),
        vision=(patch_values + 1 + 1 + patches + 1) * hidden + depth * block,
        projector=2 * merged + merged * text.hidden + text.hidden + text.hidden**2 + text.hidden,
        vision_hidden=hidden,
        vision_intermediate=wide,
        depth=depth,
        patch_values=patch_values,
        patches_a_token=4,
        vision_block=KeptNumbers(2 * hidden, 11 * hidden + 2 * wide),  # as Qwen2-VL's, and two scaled outputs
        merging=KeptNumbers(hidden, hidden + 2 * text.hidden // 4),
        lora_vision=depth * (8 * hidden + 2 * (hidden + wide)),
        dtype=dtype_of(config),
    )


def _side(value: int | list[int]) -> int:
    return int(value if isinstance(value, int) else value[0])


def _published(hidden: int, wide: int, heads: int, groups: int) -> Config:
    return {
        "model_type": "internvl", "dtype": "bfloat16", "tie_word_embeddings": False,
        "text_config": {"model_type": "qwen2", "hidden_size": hidden, "intermediate_size": wide, "vocab_size": 151674,
                        "num_hidden_layers": 28, "num_attention_heads": heads, "num_key_value_heads": groups},
        "vision_config": {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
                          "num_attention_heads": 16, "attention_bias": True},
    }  # fmt: skip


FAMILY = Family(
    name="InternVL3",
    model_types=("internvl",),
    template="intern_vl",
    conversation=Conversation(
        exchange="<|im_start|>system\n" + SYSTEM + "<|im_end|>\n<|im_start|>user\n{prompt}<|im_end|>\n"
        "<|im_start|>assistant\n{answer}<|im_end|>\n",
        tokens=50,  # an estimate, because InternVL's tokenizer was not available here
        end_of_turn="<|im_end|>",
    ),
    media=Media(
        ("image", "video"), IMAGE, IMAGE, 1, TILE**2 * MOST_TILES, 1, fit, tokens, text, frames_as_pictures=True
    ),
    architecture=architecture,
    published={
        "OpenGVLab/InternVL3-2B-hf": _published(1536, 8960, 12, 2),
        "OpenGVLab/InternVL3-8B-hf": _published(3584, 18944, 28, 4),
    },
    mixed_media_hangs=False,  # pictures and frames go through the tower together
    mixed_media_swapped=True,
    chat_template=CHAT_TEMPLATE,
    keys={"crop_to_patches": True},
)
