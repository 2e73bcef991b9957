"""Qwen3-VL: patches of 16 pixels, and the time of each pair of frames in the prompt, such as <0.2 seconds>.

Media follow LLaMA-Factory's plugin qwen3_vl and transformers' Qwen2VLImageProcessor and Qwen3VLVideoProcessor with the
limits of the published preprocessor_config.json and video_preprocessor_config.json. These files were not available
here; public code that checks or copies the limits, such as vLLM's and SGLang's tests, has pictures of 65536 to 16777216
pixels and clips of 4096 to 25165824 over all frames. The defaults of the classes differ: with them, a clip of four
frames of 128 x 128 would be enlarged.

Sizes: transformers' Qwen3VLVisionConfig has the tower of 8B as its defaults; the rest is from the classmethods
qwen3vl_4b and qwen3vl_8b in public ports (jax-ml/bonsai, sgl-project/sglang-jax). A config.json from the hub was not
available here. A test builds both on torch's meta device, with 4,437,815,808 and 8,767,123,696 parameters.

A clip's frames have positions of their own, one time step each, so the positions of text after a clip need no
correction. `positions` is not defined, so the engine hf uses its generic path for this family.
"""

import math
from collections.abc import Iterator

from mmafflm.families.base import Architecture, Config, Conversation, Family, KeptNumbers, Media, MediaSize
from mmafflm.families.decoder import decoder, dtype_of
from mmafflm.families.qwen2_5_vl.media import IMAGE, VIDEO, fit

PATCH, MERGE, TEMPORAL, CHANNELS = 16, 2, 2, 3
FACTOR = PATCH * MERGE
IMAGE_PIXELS, VIDEO_PIXELS = (65536, 16777216), (4096, 25165824)  # VIDEO_PIXELS: over all frames of a clip


def grid(size: MediaSize) -> tuple[int, int, int]:
    """(t, h, w): time steps, and patches in height and width. Raises ValueError for a frame with a side below 32."""
    width, height, frames = size.width, size.height, size.frames
    if frames is not None and min(width, height) < FACTOR:
        raise ValueError(f"a frame of {width} x {height}: Qwen3-VL accepts no side below {FACTOR} pixels")
    rows, columns = round(height / FACTOR), round(width / FACTOR)
    shown = 1 if frames is None else frames + frames % TEMPORAL  # LLaMA-Factory repeats the last of an odd number
    least, most = IMAGE_PIXELS if frames is None else VIDEO_PIXELS
    if shown * rows * columns * FACTOR**2 > most:
        shrink = math.sqrt(shown * height * width / most)
        rows, columns = max(1, math.floor(height / shrink / FACTOR)), max(1, math.floor(width / shrink / FACTOR))
    elif shown * rows * columns * FACTOR**2 < least:
        grow = math.sqrt(least / (shown * height * width))
        rows, columns = math.ceil(height * grow / FACTOR), math.ceil(width * grow / FACTOR)
    return math.ceil(shown / TEMPORAL), rows * MERGE, columns * MERGE


def seconds(size: MediaSize) -> Iterator[float]:
    """The time in the middle of each time step; the last frame of an odd number counts twice."""
    last = (size.frames or 1) - 1
    for first in range(0, last + 1, TEMPORAL):
        yield (first / size.fps + min(first + 1, last) / size.fps) / 2


def tokens(size: MediaSize) -> int:
    """Tokens in the prompt, with marks and times. Qwen's tokenizer uses a token for each character of a time."""
    _, rows, columns = grid(size)
    each = rows * columns // MERGE**2 + 2
    if size.frames is None:
        return each
    return sum(each + len(f"{time:.1f}") + 3 for time in seconds(size))  # "<", " seconds" and ">"


def text(size: MediaSize) -> str:
    """The text that represents a picture or clip in the prompt."""
    _, rows, columns = grid(size)
    pads = rows * columns // MERGE**2
    if size.frames is None:
        return IMAGE.around(pads)
    return "".join(f"<{time:.1f} seconds>{VIDEO.around(pads)}" for time in seconds(size))


def architecture(config: Config) -> Architecture:
    """The sizes of a config.json. Raises KeyError when one is missing.

    The mergers of DeepStack count as part of the tower, because LLaMA-Factory freezes them with it and LoRA adapts them
    with it.
    """
    vision = config["vision_config"]
    hidden, wide, depth, positions = (
        int(vision[key]) for key in ("hidden_size", "intermediate_size", "depth", "num_position_embeddings")
    )
    text, merged, deep = decoder(config, head_norms=True), hidden * MERGE**2, len(vision["deepstack_visual_indexes"])
    merger = merged**2 + merged + merged * text.hidden + text.hidden
    patch_values = CHANNELS * TEMPORAL * int(vision.get("patch_size", PATCH)) ** 2
    block = 4 * hidden**2 + 4 * hidden + 2 * hidden * wide + wide + hidden + 4 * hidden
    return Architecture(
        **text.fields(),
        vision=(patch_values + 1 + positions) * hidden + depth * block + deep * (merger + 2 * merged),
        projector=merger + 2 * hidden,
        vision_hidden=hidden,
        vision_intermediate=wide,
        depth=depth,
        patch_values=patch_values,
        patches_a_token=MERGE**2,
        # LayerNorms, qkv in one piece and attention's output; the MLP has no gate, only its input and GELU's output.
        vision_block=KeptNumbers(2 * hidden, 9 * hidden + 2 * wide),
        merging=KeptNumbers((1 + deep) * hidden, 5 * (1 + deep) * hidden),  # the merger and those of DeepStack
        lora_vision=depth * (6 * hidden + 2 * (hidden + wide)) + deep * (3 * merged + text.hidden),
        dtype=dtype_of(config),
    )


def _published(text: tuple[int, int], tower: tuple[int, int, int], deep: list[int], tied: bool) -> Config:
    return {
        "model_type": "qwen3_vl", "dtype": "bfloat16", "tie_word_embeddings": tied,
        "text_config": {"hidden_size": text[0], "intermediate_size": text[1], "num_hidden_layers": 36,
                        "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936},
        "vision_config": {"hidden_size": tower[0], "intermediate_size": tower[1], "depth": tower[2], "num_heads": 16,
                          "out_hidden_size": text[0], "num_position_embeddings": 2304, "patch_size": PATCH,
                          "deepstack_visual_indexes": deep},
    }  # fmt: skip


FAMILY = Family(
    name="Qwen3-VL",
    model_types=("qwen3_vl",),
    template="qwen3_vl_nothink",  # of the Instruct models; no system prompt
    conversation=Conversation(
        exchange="<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n{answer}<|im_end|>\n",
        tokens=10,
        end_of_turn="<|im_end|>",
    ),
    media=Media(("image", "video"), IMAGE, VIDEO, FACTOR**2, IMAGE_PIXELS[1], TEMPORAL, fit, tokens, text, timed=True),
    architecture=architecture,
    published={
        "Qwen/Qwen3-VL-4B-Instruct": _published((2560, 9728), (1024, 4096, 24), [5, 11, 17], tied=True),
        "Qwen/Qwen3-VL-8B-Instruct": _published((4096, 12288), (1152, 4304, 27), [8, 16, 24], tied=False),
    },
    mixed_media_hangs=True,  # pictures and clips go through the tower one after the other
)
