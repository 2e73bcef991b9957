"""Open untrusted pictures and clips defensively, with PIL and PyAV, and report in a few words what is wrong with them.

PyAV is used, not decord, because LLaMA-Factory decodes with PyAV. decord's pixels differ from PyAV's by up to 19 of 255
in BT.709 clips, and its seeking returned other frames of an AVI (decord 0.6.0; docs/reference/training.md).
"""

import io
import math
import warnings
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import av
from av.video.frame import PictureType
from PIL import Image, ImageOps, UnidentifiedImageError

from mmafflm.media.budget import Budget
from mmafflm.media.containers import container_of

# EPS is left out because PIL runs another program for it. TIFF is left out because it has many variants, some of which
# Pillow reads wrongly (12 bits as nearly black), through a library with a long list of security holes; no corpus that
# we read has TIFF.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "PPM")
MAX_PIXELS = Image.MAX_IMAGE_PIXELS or 89_478_485  # anything larger is a mistake or a decompression bomb
# The share of a clip's frames that the decoder may mark as damaged. It marks the frames that it had to repair, but
# not the frames after them that depend on these, up to the next key frame. docs/reference/data.md has the
# measurements: if up to 1% are marked, few frames look wrong; from 2% on, most do. A clip of 3 s with one repaired
# frame (1.4%) is kept. If the budget selects a damaged frame, it is used as the decoder repaired it: the frames next to
# it are smeared as much, and training on the raw clip would use the same frame.
MOST_DAMAGED = 0.02
MOST_UNREADABLE = 100  # packets
# A decoder that starts at one of these frames invents the frame that it depends on, grey or green, without marking it.
DRAWN_FROM_OTHERS = (PictureType.P, PictureType.B)
FAULTS = (av.error.FFmpegError, EOFError)
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
av.logging.set_level(av.logging.PANIC)  # hide ffmpeg's messages; what matters is raised


class Broken(Exception):
    """Media that cannot be used. The message is the reason, for the quarantine."""


@dataclass(frozen=True)
class Clip:
    """The frames that the budget selects from a clip (RGB, scaled), and notes on what was wrong with the clip."""

    frames: list[Image.Image]
    duration_s: float
    notes: tuple[str, ...] = ()


def open_picture(source: Path | bytes) -> Image.Image:
    """A picture, upright and in RGB: EXIF rotation applied, transparency on white, 16 bits as 8. Raises Broken."""
    try:
        content = source if isinstance(source, bytes) else source.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings of a decoder about a picture that it can still read
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
                picture.load()
                return _rgb(ImageOps.exif_transpose(picture))
    except UnidentifiedImageError:
        if content.startswith(TIFF):
            raise Broken("a TIFF picture, which is not read: save it as PNG") from None
        raise Broken(f"not a picture: {_beginning(content)}") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise Broken(f"picture of more than {MAX_PIXELS} pixels") from None
    except Broken:
        raise
    except Exception as error:  # damaged bytes can make decoders raise anything; one file must not end a build
        raise Broken(f"broken picture ({_said(error)})") from None


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I"):
        # 16 bits: PIL's own convert clips at 255, which leaves a white picture
        return picture.point(lambda value: value / 257).convert("L").convert("RGB")
    if picture.mode == "F":
        raise Broken("a picture of floating-point numbers, so its value for white is unknown")
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
    return picture.convert("RGB")


def open_clip(source: Path | bytes, budget: Budget, max_s: float | None = None, upright: bool = True) -> Clip:
    """The frames that the budget selects from a clip, or from the middle max_s seconds of a longer clip.

    upright: turn the clip by its rotation mark and stretch it by its pixel aspect ratio, as a player does.
    LLaMA-Factory does neither with a clip. FFmpeg can open nothing but the bytes of the clip. Raises Broken.
    """
    try:
        content = source if isinstance(source, bytes) else source.read_bytes()
        reader = _Reader(content, budget, upright)
        return reader.middle(max_s) if max_s and reader.length_s > max_s else reader.whole()
    except Broken:
        raise
    except Exception as error:  # as in open_picture; AttributeError and UnicodeDecodeError have occurred
        raise Broken(f"broken clip ({_said(error)})") from None


def _beginning(content: bytes) -> str:
    return f"it begins with {repr(content[:16])[1:]}" if content else "it is empty"


def _said(error: Exception) -> str:
    """The decoder's own message, without the file's name, which may be that of a temporary buffer."""
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(words).split())[:120]


def _stream(container: Any) -> Any:
    """The first video stream that is not the cover picture of a sound file. Raises Broken when there is none."""
    for stream in container.streams.video:
        codec = stream.codec_context  # None when ffmpeg does not know the codec
        if codec is not None and "attached_pic" not in str(stream.disposition):
            _require_size(codec.width, codec.height)
            return stream
    raise Broken("no video stream")


def _require_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise Broken(f"frames of {width} x {height} pixels are too large")


class Shot(NamedTuple):
    """A decoded frame with its number, from 0, and its time in seconds (None when the file does not give it)."""

    number: int
    time_s: float | None
    frame: Any


@dataclass
class _Pass:
    """The result of one pass over a clip: the requested pictures, and counts of the frames on the way."""

    pictures: list[Image.Image] = field(default_factory=list)
    frames: int = 0  # decoded
    damaged: int = 0  # of these, frames that the decoder marks (it repaired them) or that come before any key frame
    lost: int = 0  # packets that the decoder could not decode
    first_s: float | None = None
    last_s: float = 0.0

    def notes(self) -> tuple[str, ...]:
        """A note on damaged frames. Raises Broken when there are too many."""
        if self.damaged > MOST_DAMAGED * self.frames:
            raise Broken(f"{self.damaged} of {self.frames} frames are damaged")
        return (f"{self.damaged} of {self.frames} frames are damaged",) if self.damaged else ()


class _Reader:
    """One clip. Every pass but the first opens the clip again, because a truncated file cannot be rewound."""

    def __init__(self, content: bytes, budget: Budget, upright: bool) -> None:
        self.content, self.budget, self.upright = content, budget, upright
        self.container = container_of(content)
        if self.container is None:
            raise Broken(f"not a video file: {_beginning(content)}")
        self.opened: Any = self._open()
        stream = _stream(self.opened)
        self.pixel_aspect = float(stream.sample_aspect_ratio or 1)
        self.promised = int(stream.frames)
        self.stream_s = float(stream.duration * stream.time_base) if stream.duration else 0.0
        self.length_s = self.stream_s or float(self.opened.duration or 0) / 1e6
        self.start_s = float((stream.start_time or 0) * stream.time_base)

    def _open(self) -> Any:
        # FFmpeg gets a file object without a name, and no protocol to open another file: none has the name "none".
        options = {"protocol_whitelist": "none", "format_whitelist": str(self.container)}
        return av.open(io.BytesIO(self.content), format=self.container, options=options)

    def whole(self) -> Clip:
        """Frames from the whole clip."""
        if self.promised and self.stream_s:
            wanted = self.budget.frames(self.promised, self.stream_s)
            found = self._take(wanted)
            if found.pictures and len(found.pictures) == len(wanted):
                return self._clip(found, self.length_s, *found.notes())
        # The header has no number of frames, or one that is too high. So count the frames first.
        counted = self._take([])
        seen, last_s, promised = counted.frames, counted.last_s, self.promised or counted.frames + counted.lost
        if not seen:
            raise Broken("no frame can be decoded")
        notes = (f"{seen} of {promised} frames can be decoded",) if seen < promised else ()
        length_s = last_s + last_s / (seen - 1) if seen > 1 and last_s else self.length_s
        found = self._take(self.budget.frames(seen, length_s))
        return self._clip(found, length_s, *notes, *counted.notes())

    def middle(self, max_s: float) -> Clip:
        """Frames from the middle max_s seconds of a longer clip, at even intervals."""
        start = (self.length_s - max_s) / 2
        count = min(self.budget.video_maxlen, max(1, math.floor(max_s * self.budget.video_fps)))
        times = [start + max_s * position / count for position in range(count)]
        found = self._take_at(times, seek=True)
        if not found.pictures or found.damaged or found.first_s is None or found.first_s > start:
            # A clip that refreshes its picture stripe by stripe claims that decoding can start where it has no key
            # frame. The decoder then gives its first frame late, or green frames. From the start of the clip it decodes
            # correctly.
            found = self._take_at(times, seek=False)
        if not found.pictures:
            raise Broken(f"no frame can be decoded in the middle {max_s:g} s")
        note = f"{self.length_s:.0f} s long: its middle {max_s:g} s are taken"
        return self._clip(found, self.length_s, note, *found.notes())

    def _clip(self, found: _Pass, length_s: float, *notes: str) -> Clip:
        if len({picture.size for picture in found.pictures}) > 1:
            raise Broken("frames of several sizes")
        return Clip(found.pictures, length_s, notes)

    def _take_at(self, times: list[float], seek: bool) -> _Pass:
        """The first frame at or after each of these times, in seconds from the clip's start."""
        found = _Pass()
        for shot in self._shots(found, times[0] + self.start_s if seek else 0.0):
            time_s = -1.0 if shot.time_s is None else shot.time_s - self.start_s
            found.first_s = time_s if found.first_s is None else found.first_s
            while len(found.pictures) < len(times) and time_s >= times[len(found.pictures)]:
                found.pictures.append(self._picture(shot.frame))
            if len(found.pictures) == len(times):
                break
        return found

    def _take(self, wanted: list[int]) -> _Pass:
        """The frames with these numbers. With no numbers, all frames are counted."""
        found, places = _Pass(), set(wanted)
        for shot in self._shots(found):
            if shot.number in places:
                found.pictures.append(self._picture(shot.frame))
                if len(found.pictures) == len(places):
                    break
        return found

    def _shots(self, found: _Pass, from_s: float = 0.0) -> Iterator[Shot]:
        """Yield every frame that can be decoded, even after broken packets, and count frames and losses in `found`."""
        first, self.opened = self.opened, None
        with closing(first or self._open()) as container:
            stream = _stream(container)
            stream.thread_type = "NONE"  # one core per clip, because the build runs a worker on every core
            if from_s:
                with suppress(*FAULTS):  # on failure decode from here; `middle` checks the time of the first frame
                    container.seek(int(from_s / float(stream.time_base)), stream=stream)
            entered = False
            for packet in _packets(container, stream):
                try:
                    frames = stream.decode(packet)
                except FAULTS:
                    found.lost += 1
                    continue
                for frame in frames:
                    entered = entered or frame.key_frame or frame.pict_type not in DRAWN_FROM_OTHERS
                    found.frames += 1
                    found.damaged += frame.is_corrupt or not entered
                    found.last_s = frame.time or found.last_s
                    yield Shot(found.frames - 1, frame.time, frame)

    def _picture(self, frame: Any) -> Image.Image:
        picture: Image.Image = frame.to_image()
        if self.upright and self.pixel_aspect != 1:
            width = max(1, round(picture.width * self.pixel_aspect))
            _require_size(width, picture.height)
            picture = picture.resize((width, picture.height))
        if self.upright and frame.rotation:
            picture = picture.rotate(frame.rotation, expand=True)  # both count degrees counter-clockwise
        return self.budget.scaled(picture, video=True)


def _packets(container: Any, stream: Any) -> Iterator[Any]:
    """The stream's packets, then the empty packet that makes the decoder give its last frames.

    A packet that cannot be read does not end the clip, but MOST_UNREADABLE of them do, because a reader may be stuck.
    """
    for _ in range(MOST_UNREADABLE):
        try:
            yield from container.demux(stream)
            return
        except FAULTS:
            continue
    yield None
