"""Which container a clip is in, by its first bytes: FFmpeg is told, and never left to guess.

Left to guess, it takes a text file named .mp4 for a playlist, an ffconcat script or an SDP session, and opens the files
and addresses named in it. Of the containers below none can name another file, but for MP4 with outside references,
which FFmpeg leaves alone unless asked (enable_drefs) and which mmafflm/clips.py refuses besides.
"""

MOV_BOXES = {b"ftyp", b"styp", b"moov", b"mdat", b"wide", b"free", b"skip", b"junk", b"pnot", b"uuid", b"prfl"}
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
