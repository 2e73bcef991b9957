"""A question as the content of a chat message in the OpenAI protocol: text, and media as lossless data URLs."""

import base64
import io
import re
from fractions import Fraction
from typing import Any, Literal

import av
import numpy as np
from PIL import Image

from eval.engines import Question
from eval.engines.media import Frames, MediaReader

Part = dict[str, Any]
Clips = Literal["frames", "mp4"]
FILLER = b"\0\0\0\1\x0c" + b"\xff" * (1 << 16) + b"\x80"  # an H.264 unit of filler data, twice as large as one read


def content(question: Question, shown: MediaReader, clips: Clips) -> str | list[Part]:
    """The prompt, with the pictures and clips instead of their marks.

    clips: as frames, one picture each, or as an mp4 for a server that accepts video_url.
    """
    if not question.images and not question.videos:
        return question.prompt
    counts = [shown.size_of_clip(video).frames for video in question.videos]
    moving = [clip_parts(film, count, clips) for film, count in zip(shown.clips(question), counts, strict=True)]
    media = {"<image>": iter([[picture_part(one)] for one in shown.images(question)]), "<video>": iter(moving)}
    parts: list[Part] = []
    for piece in re.split("(<image>|<video>)", question.prompt):
        found = next(media[piece], None) if piece in media else None
        if found is not None:
            parts += found
        elif piece:
            parts.append({"type": "text", "text": piece})
    return parts


def clip_parts(film: Frames, count: int | None, clips: Clips) -> list[Part]:
    """A clip as parts of a message. As pictures, only its first `count` frames are sent.

    The frame that MediaReader repeats is left out then, because only a video input needs it.
    """
    if clips == "mp4":
        return [_url("video_url", "video/mp4", mp4(film))]
    return [picture_part(one) for one in film.pictures[:count]]


def picture_part(picture: Image.Image) -> Part:
    """A picture as a lossless PNG."""
    out = io.BytesIO()
    picture.save(out, "PNG")
    return _url("image_url", "image/png", out.getvalue())


def _url(kind: str, mime: str, data: bytes) -> Part:
    return {"type": kind, kind: {"url": f"data:{mime};base64,{base64.b64encode(data).decode()}"}}


def mp4(clip: Frames) -> bytes:
    """A clip as a lossless mp4: H.264 in RGB at quantizer 0, clip.fps frames per second.

    FILLER follows the last frame; decoders ignore it. LLaMA-Factory 0.9.5 opens a clip twice without rewinding it.
    Because FILLER is larger than one read, the file position is then at the index, which the second opening needs.
    """
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as file:
        rate = Fraction(clip.fps).limit_denominator(1001)
        stream: Any = file.add_stream("libx264rgb", rate=rate, options={"qp": "0", "preset": "ultrafast", "bf": "0"})
        stream.width, stream.height = clip.pictures[0].size
        stream.pix_fmt = "rgb24"
        frames: list[Any] = [av.VideoFrame.from_ndarray(np.asarray(one), format="rgb24") for one in clip.pictures]
        packets = [packet for frame in [*frames, None] for packet in stream.encode(frame)]
        file.mux(packets[:-1])
        file.mux(_filled(packets[-1]))
    return out.getvalue()


def _filled(packet: Any) -> Any:
    filled: Any = av.Packet(bytes(packet) + FILLER)
    filled.stream, filled.time_base, filled.duration = packet.stream, packet.time_base, packet.duration
    filled.pts, filled.dts, filled.is_keyframe = packet.pts, packet.dts, packet.is_keyframe
    return filled
