"""Open the pictures and clips of a question and scale them to the budget, for every engine and without torch."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from eval.engines import Question
from mmafflm.errors import Fault
from mmafflm.families.base import MediaSize
from mmafflm.files.inside import media_path
from mmafflm.media.budget import Budget, open_frames, open_images, stored_picture
from mmafflm.media.decode import Broken, open_clip


class Frames(NamedTuple):
    """A clip: its frames per second and RGB frames of one size; the last may be repeated to fill a time step."""

    pictures: list[Image.Image]
    fps: float


class MediaReader:
    """Opens the media of questions with one budget; root is the folder that contains the media."""

    def __init__(self, root: Path, budget: Budget, opens: Callable[[Path, Budget], Frames] | None = None) -> None:
        """opens: a function to use instead of our decoder for a clip that is stored as a file."""
        self.root, self.budget, self.opens = root, budget, opens
        self._opened = lru_cache(maxsize=64)(self._open_clip)

    def images(self, question: Question) -> list[Image.Image]:
        """The question's pictures, in the order of its <image> marks; grey ones of the same sizes if it is blank."""
        return _shown(open_images(self.root, question.images, self.budget), question.blank)

    def clips(self, question: Question) -> list[Frames]:
        """The question's clips, in the order of its <video> marks; grey frames if the question is blank."""
        clips = [self.frames(video) for video in question.videos]
        return [Frames(_shown(clip.pictures, question.blank), clip.fps) for clip in clips]

    def frames(self, video: str | tuple[str, ...]) -> Frames:
        """Read a clip from its file, or from the files of its frames."""
        if isinstance(video, str):
            pictures, fps = self._opened(video)
            missing = self.budget.media.padded(len(pictures)) - len(pictures)
            return Frames(pictures + pictures[-1:] * missing, fps)
        return Frames(open_frames(self.root, video, self.budget), self.budget.video_fps)

    def size_of_image(self, image: str) -> MediaSize:
        """The size of a picture after scaling to the budget; only its header is read."""
        return MediaSize(*self.budget.size(*self._stored(image)))

    def size_of_clip(self, video: str | tuple[str, ...]) -> MediaSize:
        """The number of frames of a clip, without a repeated last frame, and their size after scaling to the budget.

        Of a clip stored as frames, only the first frame's header is read; a clip stored as a file is decoded.
        """
        if isinstance(video, str):
            pictures, fps = self._opened(video)
            return MediaSize(*pictures[0].size, len(pictures), fps)
        size = self.budget.size(*self._stored(video[0]), video=True)
        return MediaSize(*size, len(video), self.budget.video_fps)

    def _stored(self, name: str) -> tuple[int, int]:
        """Width and height of a stored picture; only its header is read."""
        with stored_picture(self.root, name) as picture:
            return picture.width, picture.height

    def _open_clip(self, name: str) -> Frames:
        if self.opens:
            return self.opens(media_path(self.root, name), self.budget)
        try:
            clip = open_clip(media_path(self.root, name), self.budget, upright=False)
        except Broken as error:
            raise Fault(f"{self.root / name}: {error}. Build again, or restore it.") from None
        return Frames(clip.frames, len(clip.frames) / clip.duration_s if clip.duration_s else self.budget.video_fps)


def _shown(pictures: list[Image.Image], blank: bool) -> list[Image.Image]:
    return [Image.new("RGB", picture.size, "grey") for picture in pictures] if blank else pictures
