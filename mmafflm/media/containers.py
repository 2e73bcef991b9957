"""Detect a clip's container from its first bytes, so that FFmpeg is given the format and never guesses.

When FFmpeg guesses, it may take a text file named .mp4 for a playlist, an ffconcat script or an SDP session, and open
the files and addresses in it. The containers below cannot refer to other files. The exception is MP4 with external
references: FFmpeg ignores these unless the option enable_drefs is set, and mmafflm/media/decode.py allows no protocol
to open them.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from mmafflm.errors import Fault

MOV_BOXES = {b"ftyp", b"styp", b"moov", b"mdat", b"wide", b"free", b"skip", b"junk", b"pnot", b"uuid", b"prfl"}
CERTAIN_BOXES = {b"ftyp", b"moov", b"mdat", b"wide", b"free"}
# FFmpeg's name of the container, and the bytes it begins with
BEGINNINGS = (
    ("matroska", b"\x1aE\xdf\xa3"),  # WebM, too
    ("flv", b"FLV\x01"),
    ("ogg", b"OggS"),
    ("asf", b"0&\xb2u\x8ef\xcf\x11"),  # wmv
    ("mpeg", b"\x00\x00\x01\xba"),  # a program stream, as on a DVD
    ("mpegvideo", b"\x00\x00\x01\xb3"),
    ("gif", b"GIF87a"),
    ("gif", b"GIF89a"),
)
TS_PACKETS = ((0, 188), (4, 192))  # offset of a transport stream's first packet, and the length of each (m2ts: 192)
TS_SYNC, TS_SEEN = 0x47, 3  # the first byte of every packet; the number of packets that are checked

FIRST = TS_PACKETS[-1][1] * TS_SEEN  # bytes that container_of needs
# How PNG begins, and BMP (its length, then four zero bytes): a build stores pictures and frames in these formats.
STORED = re.compile(rb"\x89PNG\r\n\x1a\n|BM.{4}\0{4}", re.DOTALL)


def is_safe_to_guess(beginning: bytes) -> bool:
    """Whether a library that guesses formats will find a picture or clip here, and nothing that refers to other files.

    LLaMA-Factory opens a mix's media without stating their format. FFmpeg recognises the containers here for certain,
    with two exceptions: a transport stream, and an MP4 that begins with one of the rarer boxes. For these it would have
    to choose between the container and an SDP session, a text that refers to other files. beginning: at least the first
    FIRST bytes of the file.
    """
    if STORED.match(beginning):
        return True
    container = container_of(beginning)
    return beginning[4:8] in CERTAIN_BOXES if container == "mov" else container not in (None, "mpegts")


def require_safe_to_guess(paths: Iterable[Path]) -> None:
    """Raises Fault for the first file that is not safe for a library that guesses its format."""
    for path in paths:
        with path.open("rb") as file:
            if not is_safe_to_guess(file.read(FIRST)):
                raise Fault(
                    f"{path}: LLaMA-Factory would have to guess what this is: neither a PNG or BMP picture nor a clip "
                    "in a container that FFmpeg recognises for certain. If the clip is good, build without --raw-video."
                )


def container_of(content: bytes) -> str | None:
    """FFmpeg's name of the container that these bytes are in; None when it is not a video format that we read."""
    if content[4:8] in MOV_BOXES:
        return "mov"
    if content[:4] == b"RIFF" and content[8:12] == b"AVI ":
        return "avi"
    for name, beginning in BEGINNINGS:
        if content.startswith(beginning):
            return name
    for first, length in TS_PACKETS:
        if len(content) >= length * TS_SEEN and set(content[first : length * TS_SEEN : length]) == {TS_SYNC}:
            return "mpegts"
    return None
