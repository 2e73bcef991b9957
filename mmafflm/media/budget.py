"""How the pixel and frame budget is applied: how large a picture becomes, and which frames of a clip are taken.

The four numbers are in the build config (`budget:` in data_build/default.yaml) and travel from there: manifest.json,
the config that `mmafflm plan` computes, run.json, evaluation.

Training reads media through LLaMA-Factory and the base model's processor (paper, training set-up). How many frames it
takes is the same for all models; how a picture is scaled is the family's rule (mmafflm/families). The build scales by
the rule of the family that it is for, so that what training and evaluation open needs no scaling any more.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

from PIL import Image
from pydantic import ConfigDict, Field

from mmafflm.errors import Fault
from mmafflm.families.base import Media, MediaSize
from mmafflm.families.find import built_for
from mmafflm.files.inside import media_path

STORED = ("PNG", "BMP")  # what the build writes below media/; with others, such as EPS, PIL may run a program
IMAGE_MIN_PIXELS, VIDEO_MIN_PIXELS = 32 * 32, 16 * 16  # LLaMA-Factory's own lower limits
BUILD = built_for().media


@dataclass(frozen=True)
class Budget:
    """What a picture and a clip may cost. The build config owns the numbers, so there are no defaults.

    The bounds hold where the numbers are read (config, manifest): below one vision token no size fits.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    image_max_pixels: Annotated[int, Field(ge=IMAGE_MIN_PIXELS, le=BUILD.largest)]
    video_max_pixels: Annotated[int, Field(ge=BUILD.smallest, le=BUILD.largest)]  # a frame
    video_fps: Annotated[float, Field(gt=0, le=1000)]
    video_maxlen: Annotated[int, Field(ge=1)]  # frames

    @property
    def media(self) -> Media:
        """The rules by which pictures are scaled: those of the family that a build is for."""
        return BUILD

    def under(self, media: Media) -> "Budget":
        """The same four numbers, applied by the rules of another family."""
        return _FamilyBudget(**self.to_json(), rules=media)  # type: ignore[arg-type]  # two of them are whole numbers

    def to_json(self) -> dict[str, float]:
        """The four numbers, by LLaMA-Factory's names for them."""
        return {field.name: getattr(self, field.name) for field in fields(Budget)}

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
            width, height = self.media.fit(width, height, least, most)
            if (width, height) == before:
                break
        return width, height

    def scaled(self, picture: Image.Image, video: bool = False) -> Image.Image:
        """The picture (RGB) at the size of the budget, by bicubic interpolation."""
        size = self.size(picture.width, picture.height, video)
        return picture if size == picture.size else picture.resize(size)


@dataclass(frozen=True)
class _FamilyBudget(Budget):
    rules: Media

    @property
    def media(self) -> Media:
        return self.rules


def vision_tokens(width: int, height: int, frames: int | None = None) -> int:
    """Tokens that the model of a build takes for a picture or clip in the prompt, its start and end marks included."""
    return BUILD.tokens(MediaSize(width, height, frames))


def open_images(root: Path, names: Sequence[str], budget: Budget) -> list[Image.Image]:
    """A record's pictures as training sees them."""
    return [budget.scaled(_rgb(root, name)) for name in names]


def open_frames(root: Path, names: Sequence[str], budget: Budget) -> list[Image.Image]:
    """A clip out of its frame files, as training sees it: frames of one size, the last repeated to fill a step."""
    frames = [budget.scaled(_rgb(root, name), video=True) for name in names]
    return frames + frames[-1:] * (budget.media.padded(len(frames)) - len(frames))


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
