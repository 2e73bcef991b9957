"""Find out what the model behind a server accepts, by sending one small picture and one small clip.

The protocol has no request for this. A server with a text-only model answers a picture with an error status: 400 from
vLLM, 500 from llama.cpp and LLaMA-Factory. A server that ignores pictures without an error cannot be detected.
"""

from collections.abc import Callable
from typing import NamedTuple

from PIL import Image

from eval.engines.media import Frames
from eval.engines.openai.message import Clips, Part, clip_parts, picture_part
from mmafflm.errors import Fault

KINDS = ("text", "image", "video")
SIDE = 56  # pixels of the picture; some models refuse smaller pictures
WORDS = "Answer with one word."

Ask = Callable[[str | list[Part]], object]
"""Sends a message with this content. Raises Fault when there is no answer."""


class Accepted(NamedTuple):
    """The kinds that a model accepts, and what the server answered to the first kind that it does not accept."""

    kinds: tuple[str, ...]
    said: str | None = None


def parse_kinds(value: str) -> tuple[str, ...]:
    """`text`, `text,image` or `text,image,video` as a tuple. Raises ValueError for anything else."""
    kinds = tuple(value.split(","))
    if kinds != KINDS[: len(kinds)]:
        raise ValueError("text, or text,image or text,image,video")
    return kinds


def find_out(ask: Ask, clips: Clips) -> Accepted:
    """Send a grey picture, then a clip of two grey frames in the form `clips`.

    Raises the server's Fault when it does not answer text alone either, because then the media are not the cause.
    """
    grey = Image.new("RGB", (SIDE, SIDE), "grey")
    picture, clip = [picture_part(grey)], clip_parts(Frames([grey, grey], 2.0), 2, clips)
    for number, parts in enumerate((picture, clip), 1):
        try:
            ask([*parts, {"type": "text", "text": WORDS}])
        except Fault as fault:
            ask(WORDS)
            return Accepted(KINDS[:number], str(fault))
    return Accepted(KINDS)
