"""Make clips and pictures for the tests: of any size, length, frame rate and rotation, and broken in known ways."""

import io
import random
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image


def picture_of(width: int, height: int, seed: int = 0) -> Image.Image:
    """A picture with large and small structure, so that wrong scaling is visible."""
    draw = np.random.default_rng(seed)
    x, y = np.meshgrid(np.linspace(0, 6, width), np.linspace(0, 6, height))
    base = np.stack([np.sin(x + seed), np.cos(y - seed), np.sin(x * y + seed)], -1) * 90 + 128
    return Image.fromarray((base + draw.integers(-30, 30, base.shape)).clip(0, 255).astype(np.uint8))


def clip_bytes(
    frames: int,
    fps: float = 25,
    size: tuple[int, int] = (320, 180),
    container: str = "mp4",
    codec: str = "libx264",
    times: list[float] | None = None,
    colourful: bool = False,
    options: dict[str, str] | None = None,
    pixels: str = "yuv420p",
    pixel_aspect: Fraction | None = None,
) -> bytes:
    """A clip in which frame n has a brightness that tells n. times: each frame's second, for a variable rate."""
    out = io.BytesIO()
    with av.open(out, "w", format=container) as file:
        rate = Fraction(1000 if times else fps).limit_denominator(1001)
        stream = file.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        if pixel_aspect:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        noise = np.asarray(picture_of(*size)) if colourful else np.zeros((size[1], size[0], 3), np.uint8)
        for number in range(frames):
            level = int(20 + 200 * number / max(1, frames - 1))
            picture = np.clip(noise.astype(int) // 2 + level // 2 if colourful else noise + level, 0, 255)
            frame = av.VideoFrame.from_ndarray(picture.astype(np.uint8), format="rgb24")
            if times:
                frame.pts, frame.time_base = int(times[number] * 1000), Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return out.getvalue()


def sound_bytes(seconds: float = 0.5) -> bytes:
    """An mp4 with sound but no picture."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as file:
        stream = file.add_stream("aac", rate=16000)
        for _ in range(int(seconds * 16)):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate = 16000
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return out.getvalue()


def striped(frames: int, fps: float, pixels: str = "yuv420p") -> bytes:
    """A clip that refreshes its picture stripe by stripe; only frame 0 is a key frame (x264's intra-refresh)."""
    options = {"x264-params": "intra-refresh=1:keyint=40:bframes=0:scenecut=0"}
    return clip_bytes(frames, fps, (128, 128), colourful=True, options=options, pixels=pixels)


def flipped(clip: bytes, seed: int, count: int) -> bytes:
    """An mp4 with so many bytes of its frames changed, except in the first frame."""
    draw, content, begin = random.Random(seed), bytearray(clip), clip.index(b"mdat")
    end = begin + int.from_bytes(clip[begin - 4 : begin], "big") - 4
    for _ in range(count):
        content[draw.randrange(begin + (end - begin) // 4, end)] ^= draw.randrange(1, 256)
    return bytes(content)


def referring(clip: bytes, path: str) -> bytes:
    """The mp4 changed to claim that its frames are in another file (QuickTime's alias, as FFmpeg reads it)."""
    name = path.encode()
    path_record = struct.pack(">HH", 2, len(name)) + name + bytes(len(name) % 2)
    body = bytes(4 + 150) + path_record + struct.pack(">hH", -1, 0)
    entry = struct.pack(">I4s", 8 + len(body), b"alis") + body
    old = clip.rindex(b"url ") - 4
    content = bytearray(clip[:old] + entry + clip[old + 12 :])
    for box in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        at = clip.rindex(box) - 4
        content[at : at + 4] = struct.pack(">I", struct.unpack(">I", clip[at : at + 4])[0] + len(entry) - 12)
    return bytes(content)


def rotated(clip: bytes, degrees: int) -> bytes:
    """The same mp4 with a rotation mark in its track header, as a phone writes it (degrees clockwise: 90, 180, 270)."""
    one, minus = (1 << 16).to_bytes(4, "big"), (-(1 << 16)).to_bytes(4, "big", signed=True)
    zero, last = bytes(4), (1 << 30).to_bytes(4, "big")
    a, b, c, d = {90: (zero, one, minus, zero), 180: (minus, zero, zero, minus), 270: (zero, minus, one, zero)}[degrees]
    at = clip.index(b"tkhd") + 4 + 40  # version 0: the matrix is 40 bytes into the box
    matrix = a + b + zero + c + d + zero + zero + zero + last
    return clip[:at] + matrix + clip[at + 36 :]


def write(path: Path, content: bytes) -> Path:
    """Write a file with these bytes, and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
