"""Pictures and clips from outside, opened defensively: PIL and PyAV, what is wrong with them said in a word.

PyAV, not decord: LLaMA-Factory decodes with PyAV, and decord's pixels differ from it by up to 19 of 255 in BT.709
clips, and its seeking returned other frames of an AVI (reference clips, decord 0.6.0).
"""

import io
import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import av
from PIL import Image, ImageOps, UnidentifiedImageError

from mmafflm.media import Budget

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")  # none that runs another program, as EPS does
MAX_PIXELS = 100_000_000  # a larger picture or frame is a mistake or a bomb
av.logging.set_level(av.logging.PANIC)  # ffmpeg's chatter: what matters is raised


class Broken(Exception):
    """Media that cannot be used; the text is the reason, for the quarantine."""


@dataclass(frozen=True)
class Clip:
    """The frames that the budget takes of a clip (RGB, scaled), and what was done to get them."""

    frames: list[Image.Image]
    duration_s: float
    notes: tuple[str, ...] = ()


def open_picture(source: Path | bytes) -> Image.Image:
    """A picture upright and in RGB: EXIF rotation applied, transparency on white, 16 bits as 8. Raises Broken."""
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise Broken(f"picture of {picture.width} x {picture.height} pixels")
            picture.load()
            return _rgb(ImageOps.exif_transpose(picture))
    except UnidentifiedImageError:
        raise Broken("not a picture") from None
    except Image.DecompressionBombError:
        raise Broken("picture of too many pixels") from None
    except Broken:
        raise
    except Exception as error:  # mutated bytes make decoders raise anything; one file must not end a build
        raise Broken(f"broken picture ({_said(error)})") from None


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I"):
        # 16 bits: PIL's own convert cuts off at 255 and leaves a white picture
        high = picture.getextrema()[1]
        divisor = 257 if isinstance(high, int | float) and high > 255 else 1
        return picture.point(lambda value: value / divisor).convert("L").convert("RGB")
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
    return picture.convert("RGB")


def open_clip(source: Path | bytes, budget: Budget, max_s: float | None = None, upright: bool = True) -> Clip:
    """The frames that the budget takes of a clip. Of one longer than max_s seconds, of its middle max_s.

    upright: turned as the file's rotation mark says; LLaMA-Factory, given a clip, does not. Raises Broken.
    """
    try:
        reader = _Reader(source, budget, upright)
        return reader.middle(max_s) if max_s and reader.length_s > max_s else reader.whole()
    except Broken:
        raise
    except Exception as error:  # as above; AttributeError and UnicodeDecodeError were seen
        raise Broken(f"broken clip ({_said(error)})") from None


def _said(error: Exception) -> str:
    """The decoder's own words, without the file's name: it may be that of a temporary buffer."""
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(words).split())[:120]


def _stream(container: Any) -> Any:
    """The first stream that is a film: not the cover picture of a sound file."""
    for stream in container.streams.video:
        codec = stream.codec_context  # None for a codec that ffmpeg does not know
        if codec is not None and "attached_pic" not in str(stream.disposition):
            if codec.width * codec.height > MAX_PIXELS:
                raise Broken(f"frames of {codec.width} x {codec.height} pixels")
            return stream
    raise Broken("no video stream")


class Shot(NamedTuple):
    """A decoded frame's place: its number from 0 and its time in seconds (None where the file does not say)."""

    number: int
    time_s: float | None
    frame: Any


class _Reader:
    """One clip. Every pass but the first opens it anew: a file that is cut off cannot be rewound."""

    def __init__(self, source: Path | bytes, budget: Budget, upright: bool) -> None:
        self.source, self.budget, self.upright = source, budget, upright
        self.opened: Any = self._open()
        stream = _stream(self.opened)
        self.promised = int(stream.frames)
        self.stream_s = float(stream.duration * stream.time_base) if stream.duration else 0.0
        self.length_s = self.stream_s or float(self.opened.duration or 0) / 1e6
        self.start_s = float((stream.start_time or 0) * stream.time_base)

    def _open(self) -> Any:
        return av.open(io.BytesIO(self.source) if isinstance(self.source, bytes) else str(self.source))

    def whole(self) -> Clip:
        """The clip from beginning to end."""
        promised = self.promised
        if promised and self.stream_s:
            wanted = self.budget.frames(promised, self.stream_s)
            taken, _, _ = self._take(wanted)
            if taken and len(taken) == len(wanted):
                return Clip(taken, self.length_s)
        # The header gives no number of frames, or more than there are: count them, then take.
        _, seen, last_s = self._take([])
        if not seen:
            raise Broken("no frame can be decoded")
        notes = (f"{seen} of {promised} frames can be decoded",) if promised and seen < promised else ()
        length_s = last_s + last_s / (seen - 1) if seen > 1 and last_s else self.length_s
        taken, _, _ = self._take(self.budget.frames(seen, length_s))
        return Clip(taken, length_s, notes)

    def middle(self, max_s: float) -> Clip:
        """The middle max_s seconds of a clip that is longer, evenly in time."""
        start = (self.length_s - max_s) / 2
        count = min(self.budget.video_maxlen, max(1, math.floor(max_s * self.budget.video_fps)))
        times = [start + max_s * position / count for position in range(count)]
        taken: list[Image.Image] = []
        for shot in self._shots(start + self.start_s):
            time_s = -1.0 if shot.time_s is None else shot.time_s - self.start_s
            while len(taken) < count and time_s >= times[len(taken)]:
                taken.append(self._picture(shot.frame))
            if len(taken) == count:
                break
        if not taken:
            raise Broken(f"no frame can be decoded in the middle {max_s:g} s")
        return Clip(taken, self.length_s, (f"{self.length_s:.0f} s long: its middle {max_s:g} s are taken",))

    def _take(self, wanted: list[int]) -> tuple[list[Image.Image], int, float]:
        """The frames of these numbers, how many frames were seen, and the time of the last."""
        taken, seen, last_s = [], 0, 0.0
        places = set(wanted)
        for shot in self._shots():
            seen, last_s = shot.number + 1, shot.time_s or last_s
            if shot.number in places:
                taken.append(self._picture(shot.frame))
                if len(taken) == len(places):
                    break
        return taken, seen, last_s

    def _shots(self, from_s: float = 0.0) -> Iterator[Shot]:
        """Frames as far as they can be decoded: what a cut file still holds is of use."""
        first, self.opened = self.opened, None
        with closing(first or self._open()) as container:
            stream = _stream(container)
            stream.thread_type = "NONE"  # one core a clip: the build runs as many workers as there are cores
            number = 0
            try:
                if from_s:
                    container.seek(int(from_s / float(stream.time_base)), stream=stream)
                for frame in container.decode(stream):
                    yield Shot(number, frame.time, frame)
                    number += 1
            except (av.error.FFmpegError, EOFError):
                return

    def _picture(self, frame: Any) -> Image.Image:
        picture: Image.Image = frame.to_image()
        if self.upright and frame.rotation:
            picture = picture.rotate(frame.rotation, expand=True)  # both count degrees against the clock
        return self.budget.scaled(picture, video=True)
