"""How the pixel and frame budget is applied: the size of a picture, and which frames of a clip are used.

The build config holds the four numbers (`budget:` in data_build/default.yaml). From there they go to manifest.json, the
config that `mmafflm plan` computes, run.json and the evaluation.

Training reads media through LLaMA-Factory and the base model's processor (paper, training set-up). The number of frames
is the same for all models; how a picture is scaled is the family's rule (mmafflm/families). The build scales by the
rule of one family (`built_for`), so that training and evaluation of this family do not scale again.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

from PIL import Image
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from mmafflm.errors import Fault
from mmafflm.families.base import Media, MediaSize
from mmafflm.families.find import built_for
from mmafflm.files.documents import first_wrong
from mmafflm.files.inside import media_path

STORED = ("PNG", "BMP")  # formats that the build writes below media/; for others, such as EPS, PIL may run a program
IMAGE_MIN_PIXELS, VIDEO_MIN_PIXELS = 32 * 32, 16 * 16  # LLaMA-Factory's own lower limits
PIXELS = ("image_max_pixels", "video_max_pixels")  # of the four numbers, those that a recipe may lower
BUILD = built_for().media


@dataclass(frozen=True)
class Budget:
    """The limits on a picture and a clip. The build config sets the numbers, so there are no defaults here.

    The bounds of the numbers are checked when a config or manifest is read. They leave room for one vision token.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    image_max_pixels: Annotated[int, Field(ge=IMAGE_MIN_PIXELS, le=BUILD.largest)]
    video_max_pixels: Annotated[int, Field(ge=BUILD.smallest, le=BUILD.largest)]  # for each frame
    video_fps: Annotated[float, Field(gt=0, le=1000)]
    video_maxlen: Annotated[int, Field(ge=1)]  # frames

    @property
    def media(self) -> Media:
        """The rules for scaling pictures, from the family that builds are for."""
        return BUILD

    def under(self, media: Media) -> "Budget":
        """The same four numbers, applied by the rules of another family."""
        return _FamilyBudget(**self.to_json(), rules=media)  # type: ignore[arg-type]  # two of them are integers

    def lowered(self, asked: Mapping[str, Any]) -> "Budget":
        """This budget with the lower pixel limits in `asked`; keys other than the four numbers are ignored.

        Raises ValueError with the key for a value that is no number, is higher or out of bounds, and for another
        video_fps or video_maxlen.
        """
        for name, stored in self.to_json().items():
            if not isinstance(most := asked.get(name, stored), int | float):
                raise ValueError(f"{name} must be a number, not {most!r}")
            if most > stored or (most < stored and name not in PIXELS):
                raise ValueError(f"{name} {most}, and the data were built with {stored}")
        try:
            return TypeAdapter(Budget).validate_python(
                self.to_json() | {name: asked[name] for name in PIXELS if name in asked}
            )
        except ValidationError as error:
            raise ValueError(first_wrong(error)) from None

    def to_json(self) -> dict[str, float]:
        """The four numbers, under LLaMA-Factory's names."""
        return {field.name: getattr(self, field.name) for field in fields(Budget)}

    def frames(self, count: int, duration_s: float) -> list[int]:
        """Which of a clip's `count` frames are used: video_fps a second, at most video_maxlen, evenly spread."""
        taken = min(count, self.video_maxlen, max(1, math.floor(duration_s * self.video_fps)))
        step = (count - 1) / (taken - 1) if taken > 1 else 0.0
        # the arithmetic of numpy.linspace, which ends exactly on the last frame
        return [int(position * step) if position < taken - 1 or taken == 1 else count - 1 for position in range(taken)]

    def size(self, width: int, height: int, video: bool = False) -> tuple[int, int]:
        """The width and height to which the budget scales a picture or frame. Scaling again changes nothing."""
        least, most = (VIDEO_MIN_PIXELS, self.video_max_pixels) if video else (IMAGE_MIN_PIXELS, self.image_max_pixels)
        # LLaMA-Factory's plugin scales once. A narrow frame (10000 x 20) is then still too large, because its short
        # side was raised to 28 pixels, so it is scaled until nothing changes.
        for _ in range(20):
            before = (width, height)
            width, height = self.media.fit(width, height, least, most)
            if (width, height) == before:
                break
        return width, height

    def scaled(self, picture: Image.Image, video: bool = False) -> Image.Image:
        """The picture (RGB) scaled to the budget, by bicubic interpolation."""
        size = self.size(picture.width, picture.height, video)
        return picture if size == picture.size else picture.resize(size)


@dataclass(frozen=True)
class _FamilyBudget(Budget):
    rules: Media

    @property
    def media(self) -> Media:
        return self.rules


def vision_tokens(width: int, height: int, frames: int | None = None) -> int:
    """Prompt tokens of a picture or clip for the family of the build, including its start and end marks."""
    return BUILD.tokens(MediaSize(width, height, frames))


def open_images(root: Path, names: Sequence[str], budget: Budget) -> list[Image.Image]:
    """A record's pictures, scaled as in training."""
    return [budget.scaled(_rgb(root, name)) for name in names]


def open_frames(root: Path, names: Sequence[str], budget: Budget) -> list[Image.Image]:
    """A clip from its frame files, scaled as in training; the last frame is repeated to fill a time step."""
    frames = [budget.scaled(_rgb(root, name), video=True) for name in names]
    return frames + frames[-1:] * (budget.media.padded(len(frames)) - len(frames))


def _rgb(root: Path, name: str) -> Image.Image:
    with stored_picture(root, name) as picture:
        return picture.convert("RGB")


@contextmanager
def stored_picture(root: Path, name: str) -> Iterator[Image.Image]:
    """Open a picture or frame of DATA. Raises Fault when its name leads out of `root`, or when it cannot be opened."""
    path = media_path(root, name)
    try:
        with Image.open(path, formats=STORED) as picture:
            yield picture
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise Fault(f"{path}: cannot be opened as a picture ({error}). Build again, or restore it.") from None
