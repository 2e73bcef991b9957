"""Drawn clips: a face that shows an emotion by its look and movement, as mp4 bytes that are the same in every run."""

import io
from collections.abc import Callable
from math import cos, pi, sin
from random import Random
from typing import NamedTuple

import av
import numpy as np
from PIL import Image

from data_build.drawing.faces import backdrop, draw_face

# With AVX-512, x264 wrote other bytes for 2 to 25 of 238 clips in a second run (core 165 of PyAV 16, AMD EPYC); with
# AVX2 it did not. Every x86-64 CPU has SSE2, so we use that. One thread, because x264 divides bits among threads.
X264 = {"preset": "veryfast", "crf": "28", "tune": "animation", "x264-params": "asm=SSE2"}
SHORTEST_S, LONGEST_S = 0.8, 2.2  # default range of a clip's length
SMALLEST = 0.6  # the smallest face, as a fraction of its full size


class Pose(NamedTuple):
    """Offsets of a face to the right and down, in fractions of the free space, and the fraction of its full size."""

    right: float = 0.0
    down: float = 0.0
    size: float = 1.0


MOVES: dict[str, Callable[[float], Pose]] = {  # from the seconds since the start to the pose
    "neutral": lambda t: Pose(),
    "happiness": lambda t: Pose(down=1 - 2 * abs(sin(3 * pi * t))),  # hops
    "sadness": lambda t: Pose(down=min(1.0, t) * 2 - 1),  # sinks
    "anger": lambda t: Pose(right=sin(6 * pi * t)),  # shakes its head
    "fear": lambda t: Pose(right=0.4 * sin(40 * t), down=0.4 * cos(47 * t)),  # trembles
    "surprise": lambda t: Pose(size=min(1.0, SMALLEST + t)),  # comes closer
    "disgust": lambda t: Pose(right=min(1.0, t) * 2 - 1),  # turns away
    "other": lambda t: Pose(right=sin(2 * pi * t), down=cos(2 * pi * t)),  # circles
}


def render(
    emotions: tuple[str, ...],
    intensity: float,
    random: Random,
    duration_s: float,
    size: tuple[int, int] = (320, 180),
    fps: int = 12,
) -> bytes:
    """An mp4 (H.264, yuv420p, no sound) of a face that shows one emotion after the other, each for the same time."""
    behind = backdrop(random, size)
    side = int(min(size) * random.uniform(0.72, 0.82))
    middle = ((size[0] - side) * random.uniform(0.3, 0.7), (size[1] - side) / 2)
    faces = {emotion: draw_face(emotion, intensity, side) for emotion in emotions}
    frames = []
    for number in range(max(len(emotions), round(duration_s * fps))):
        emotion = emotions[min(int(number / (duration_s * fps) * len(emotions)), len(emotions) - 1)]
        frames.append(_frame(behind, faces[emotion], middle, MOVES[emotion](number / fps)))
    return encode(frames, fps)


def _frame(behind: Image.Image, face: Image.Image, middle: tuple[float, float], pose: Pose) -> Image.Image:
    room = (behind.height - face.height) / 2
    if pose.size != 1:
        side = round(face.width * pose.size)
        middle = (middle[0] + (face.width - side) / 2, middle[1] + (face.height - side) / 2)
        face = face.resize((side, side))
    picture = behind.copy()
    picture.paste(face, (round(middle[0] + pose.right * room), round(middle[1] + pose.down * room)), face)
    return picture


def encode(frames: list[Image.Image], fps: int) -> bytes:
    """An mp4 of RGB pictures. All must have the same size, with an even width and height."""
    out = io.BytesIO()
    with av.open(out, "w", "mp4") as container:
        stream = container.add_stream("libx264", rate=fps, options=X264)
        stream.width, stream.height = frames[0].size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(frame), format="rgb24")))
        container.mux(stream.encode(None))
    return out.getvalue()


def silence(duration_s: float) -> bytes:
    """An mp4 with a sound track (AAC) and no video."""
    rate = 16_000
    out = io.BytesIO()
    with av.open(out, "w", "mp4") as container:
        stream = container.add_stream("aac", rate=rate, layout="mono")
        frame = av.AudioFrame(format="fltp", layout="mono", samples=round(duration_s * rate))
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frame.sample_rate = rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def draw_duration_s(random: Random, least: float = SHORTEST_S) -> float:
    """Draw the length of a clip, in whole milliseconds."""
    return round(random.uniform(least, LONGEST_S), 3)
