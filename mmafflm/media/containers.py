"""Which container a clip is in, by its first bytes: FFmpeg is told, and never left to guess.

Left to guess, it takes a text file named .mp4 for a playlist, an ffconcat script or an SDP session, and opens the files
and addresses named in it. Of the containers below none can name another file, but for MP4 with outside references,
which FFmpeg leaves alone unless asked (enable_drefs) and which mmafflm/media/decode.py refuses besides.
"""

import re

MOV_BOXES = {b"ftyp", b"styp", b"moov", b"mdat", b"wide", b"free", b"skip", b"junk", b"pnot", b"uuid", b"prfl"}
CERTAIN_BOXES = {b"ftyp", b"moov", b"mdat", b"wide", b"free"}
# FFmpeg's name of the container, and its first bytes
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
TS_PACKETS = ((0, 188), (4, 192))  # where a transport stream's first packet begins, and the length of each (m2ts: 192)
TS_SYNC, TS_SEEN = 0x47, 3  # every packet begins with this byte; so many packets are looked at

FIRST = TS_PACKETS[-1][1] * TS_SEEN  # bytes that decide
# how the pictures that a build stores begin: PNG; BMP, whose length is followed by four zero bytes
STORED = re.compile(rb"\x89PNG\r\n\x1a\n|BM.{4}\0{4}", re.DOTALL)


def is_safe_to_guess(beginning: bytes) -> bool:
    """Whether a library that guesses a file's form finds a picture or clip in it, and nothing that names other files.

    LLaMA-Factory opens a mix's media without saying what they are. FFmpeg is certain of the containers here, except
    for a transport stream and for an MP4 that begins with one of the rarer boxes: between these and an SDP session,
    which is text, it would have to choose. beginning: the file's first FIRST bytes.
    """
    if STORED.match(beginning):
        return True
    container = container_of(beginning)
    return beginning[4:8] in CERTAIN_BOXES if container == "mov" else container not in (None, "mpegts")


def container_of(content: bytes) -> str | None:
    """FFmpeg's name of the container that these bytes are, or None: not a video file that is read here."""
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
