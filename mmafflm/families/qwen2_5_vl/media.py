"""How many tokens a picture or clip has in Qwen2-VL and Qwen2.5-VL, and how LLaMA-Factory's plugin scales it before.

The rules are those of the plugin qwen2_vl and of the processor of Qwen2.5-VL-3B and -7B, the models that the
paper trains. Tests compare this file with both on pictures and clips of many shapes.
"""

import math

from mmafflm.families.base import Marks, Media, MediaSize

PATCH, MERGE, TEMPORAL = 14, 2, 2
# The limits of the processor. With transformers' own defaults a frame would cost eight times as many tokens.
MIN_PIXELS, MAX_PIXELS = 3136, 12845056
FACTOR = PATCH * MERGE  # a vision token covers 28 x 28 pixels of a picture, or of two frames
LONGEST_RATIO, RATIO_AFTER = 200, 180  # the widest ratio that the plugin accepts, and what a wider one becomes
IMAGE = Marks("<|vision_start|>", "<|image_pad|>", "<|vision_end|>")
VIDEO = Marks("<|vision_start|>", "<|video_pad|>", "<|vision_end|>")


def fit(width: int, height: int, least: int, most: int) -> tuple[int, int]:
    """The size to which LLaMA-Factory's Qwen2VLPlugin._preprocess_image scales a picture; least, most: pixels."""
    for limit, over in ((most, width * height > most), (least, width * height < least)):
        if over:
            factor = math.sqrt(limit / (width * height))
            width, height = int(width * factor), int(height * factor)
    if min(width, height) < FACTOR:
        width, height = max(width, FACTOR), max(height, FACTOR)
    if width / height > LONGEST_RATIO:
        width = height * RATIO_AFTER
    if height / width > LONGEST_RATIO:
        height = width * RATIO_AFTER
    return width, height


def grid(width: int, height: int, frames: int | None = None) -> tuple[int, int, int]:
    """(t, h, w): the number of time steps, and of patches (14 x 14 pixels) in height and in width.

    The processor cuts a picture or a clip into these. Width and height are those after `fit`. frames: the number of
    frames; None for a picture. Two frames make one time step; the last of an odd number of frames is repeated.
    """
    rows, columns = round(height / FACTOR), round(width / FACTOR)
    if rows * columns * FACTOR**2 > MAX_PIXELS:
        shrink = math.sqrt(height * width / MAX_PIXELS)
        rows, columns = max(1, math.floor(height / shrink / FACTOR)), max(1, math.floor(width / shrink / FACTOR))
    elif rows * columns * FACTOR**2 < MIN_PIXELS:
        grow = math.sqrt(MIN_PIXELS / (height * width))
        rows, columns = math.ceil(height * grow / FACTOR), math.ceil(width * grow / FACTOR)
    return 1 if frames is None else math.ceil(frames / TEMPORAL), rows * MERGE, columns * MERGE


def tokens(size: MediaSize) -> int:
    """Tokens of a picture or clip in the prompt, including its start and end marks."""
    return math.prod(grid(size.width, size.height, size.frames)) // MERGE**2 + 2


def text(size: MediaSize) -> str:
    """The text that represents a picture or clip in the prompt."""
    return (IMAGE if size.frames is None else VIDEO).around(tokens(size) - 2)


MEDIA = Media(
    accepts=("image", "video"),
    image=IMAGE,
    video=VIDEO,
    smallest=FACTOR**2,
    largest=MAX_PIXELS,
    frames_a_step=TEMPORAL,
    fit=fit,
    tokens=tokens,
    text=text,
)
