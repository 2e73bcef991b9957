"""How the pixel and frame budget is applied: how large a picture becomes, and which frames of a clip are taken.

The four numbers are in the build config (`budget:` in data_build/default.yaml) and travel from there: manifest.json,
the config that `mmafflm plan` computes, run.json, evaluation.

Training reads media through LLaMA-Factory's qwen2_vl plugin and the base model's processor. The rules here are theirs
(paper, training set-up; reference facts 10 to 12), and tests compare both on pictures and clips of every shape. The
build scales by these rules once, so that what training and evaluation open needs no scaling any more.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from PIL import Image
from pydantic import ConfigDict, Field

from mmafflm.errors import Fault
from mmafflm.inside import media_path

# The processors of Qwen2.5-VL-3B and -7B. With transformers' defaults in their place a frame costs eight times as much.
PATCH, MERGE, TEMPORAL = 14, 2, 2
MIN_PIXELS, MAX_PIXELS = 3136, 12845056
STORED = ("PNG", "BMP")  # what the build writes below media/; with others, such as EPS, PIL may run a program
FACTOR = PATCH * MERGE  # a vision token covers 28 x 28 pixels, of two frames
# The plugin's own lower limits and the widest shape that it takes.
IMAGE_MIN_PIXELS, VIDEO_MIN_PIXELS, LONGEST_RATIO, RATIO_AFTER = 32 * 32, 16 * 16, 200, 180


@dataclass(frozen=True)
class Budget:
    """What a picture and a clip may cost. The build config owns the numbers, so there are no defaults.

    The bounds hold where the numbers are read (config, manifest): below one vision token no size fits.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    image_max_pixels: Annotated[int, Field(ge=IMAGE_MIN_PIXELS, le=MAX_PIXELS)]
    video_max_pixels: Annotated[int, Field(ge=FACTOR**2, le=MAX_PIXELS)]  # a frame
    video_fps: Annotated[float, Field(gt=0, le=1000)]
    video_maxlen: Annotated[int, Field(ge=1)]  # frames

    def to_json(self) -> dict[str, float]:
        """The four numbers, by LLaMA-Factory's names for them."""
        return asdict(self)

    def frames(self, count: int, duration_s: float) -> list[int]:
        """Which of a clip's `count` frames are taken: fps of them a second, spread from the first to the last."""
        taken = min(count, self.video_maxlen, max(1, math.floor(duration_s * self.video_fps)))
        step = (count - 1) / (taken - 1) if taken > 1 else 0.0
        # numpy.linspace's arithmetic, which ends on the last frame exactly
        return [int(position * step) if position < taken - 1 or taken == 1 else count - 1 for position in range(taken)]

    def size(self, width: int, height: int, video: bool = False) -> tuple[int, int]:
        """Width and height to which the budget scales a picture, or a frame. What it returns, it leaves alone."""
        least, most = (VIDEO_MIN_PIXELS, self.video_max_pixels) if video else (IMAGE_MIN_PIXELS, self.image_max_pixels)
        # One round is the plugin's. A strip of 10000 x 20 is too large again once its side is 28: then once more.
        for _ in range(20):
            before = (width, height)
            width, height = _regularized(width, height, least, most)
            if (width, height) == before:
                break
        return width, height

    def scaled(self, picture: Image.Image, video: bool = False) -> Image.Image:
        """The picture (RGB) at the size of the budget, by bicubic interpolation."""
        size = self.size(picture.width, picture.height, video)
        return picture if size == picture.size else picture.resize(size)


def _regularized(width: int, height: int, least: int, most: int) -> tuple[int, int]:
    """LLaMA-Factory's Qwen2VLPlugin._preprocess_image, on sizes."""
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
    """(t, h, w): the patches of 14 x 14 pixels that the processor cuts of a picture, or of a clip of that many frames.

    Width and height are those after Budget.size. A clip counts two frames as one and repeats the last of an odd number.
    """
    rows, columns = round(height / FACTOR), round(width / FACTOR)
    if rows * columns * FACTOR**2 > MAX_PIXELS:
        shrink = math.sqrt(height * width / MAX_PIXELS)
        rows, columns = max(1, math.floor(height / shrink / FACTOR)), max(1, math.floor(width / shrink / FACTOR))
    elif rows * columns * FACTOR**2 < MIN_PIXELS:
        grow = math.sqrt(MIN_PIXELS / (height * width))
        rows, columns = math.ceil(height * grow / FACTOR), math.ceil(width * grow / FACTOR)
    return 1 if frames is None else even(frames) // TEMPORAL, rows * MERGE, columns * MERGE


def even(frames: int) -> int:
    """The number of frames once the last of an odd number stands twice."""
    return frames + frames % TEMPORAL


def vision_tokens(width: int, height: int, frames: int | None = None) -> int:
    """Tokens of a picture or clip in the prompt, its start and end marks included."""
    t, h, w = grid(width, height, frames)
    return t * h * w // MERGE**2 + 2


def open_images(root: Path, names: Sequence[str], budget: Budget) -> list[Image.Image]:
    """A record's pictures as training sees them."""
    return [budget.scaled(_rgb(root, name)) for name in names]


def open_frames(root: Path, names: Sequence[str], budget: Budget) -> list[Image.Image]:
    """A clip out of its frame files, as training sees it: (even number of) frames of one size."""
    frames = [budget.scaled(_rgb(root, name), video=True) for name in names]
    return frames + frames[-1:] * (even(len(frames)) - len(frames))


def _rgb(root: Path, name: str) -> Image.Image:
    with stored_picture(root, name) as picture:
        return picture.convert("RGB")


@contextmanager
def stored_picture(root: Path, name: str) -> Iterator[Image.Image]:
    """A picture or frame of DATA, opened. Raises Fault when its name leads out of `root` or it is no such picture."""
    path = media_path(root, name)
    try:
        with Image.open(path, formats=STORED) as picture:
            yield picture
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise Fault(f"{path}: cannot be opened as a picture ({error}). Build again, or restore it.") from None
