"""No content of a clip makes FFmpeg open another file or the network. strace checks this, if it is installed."""

import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmafflm.media.containers import MOV_BOXES, container_of, is_safe_to_guess
from mmafflm.media.decode import Broken, open_clip
from tests.budget import BUDGET
from tests.media_files import clip_bytes, referring, write
from tests.paths import SHARED

GIVEN = SHARED / "faults/hostile/clips"
SECRET, PORT = "secret.mp4", 45454
SCRIPTS = {
    "concat": "ffconcat version 1.0\nfile secret.mp4\n",
    "concat_protocol": "ffconcat version 1.0\nfile 'concat:secret.mp4|secret.mp4'\n",
    "concat_late": "# a remark\n\nffconcat version 1.0\nfile secret.mp4\n",
    "hls": "#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:2,\nsecret.mp4\n#EXT-X-ENDLIST\n",
    "hls_marked": "\ufeff#EXTM3U\n#EXTINF:2,\nsecret.mp4\n",
    "hls_tagged": "ID3\4\0\0\0\0\0\0#EXTM3U\n#EXTINF:2,\nsecret.mp4\n",
    "hls_key": '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="secret.mp4"\n#EXTINF:2,\nhttp://127.0.0.1:45454/a.ts\n',
    "sdp": f"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video {PORT} RTP/AVP 96\r\n"
    "a=rtpmap:96 H264/90000\r\n",
    "rtsp": f"rtsp://127.0.0.1:{PORT}/x\n",
    "rtp": f"#!rtpplay1.0 127.0.0.1/{PORT}\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet>'
    f'<Representation id="0" bandwidth="1"><BaseURL>http://127.0.0.1:{PORT}/</BaseURL></Representation>'
    "</AdaptationSet></Period></MPD>",
    "ism": '<?xml version="1.0"?><SmoothStreamingMedia MajorVersion="2"/>',
    "vobsub": "# VobSub index file, v7 (do not modify this line!)\nid: en, index: 0\ntimestamp: 00:00:00:000\n",
    "svg": '<svg xmlns="http://www.w3.org/2000/svg"><image href="secret.mp4"/></svg>',
    "asx": '<asx version="3.0"><entry><ref href="secret.mp4"/></entry></asx>',
    "pls": "[playlist]\nFile1=secret.mp4\nNumberOfEntries=1\n",
    "ffmeta": ";FFMETADATA1\ntitle=secret.mp4\n",
    "path": "secret.mp4",
}


def hostile(folder: Path) -> list[Path]:
    """Files named .mp4 that would make a guessing FFmpeg open another file; and that file."""
    secret = write(folder / SECRET, clip_bytes(20, size=(64, 64)))
    made = [write(folder / f"{name}.mp4", text.encode()) for name, text in SCRIPTS.items()]
    real = clip_bytes(20, size=(64, 64))
    hidden = b"\0\0\0\x18free" + SCRIPTS["hls"].encode()[:16] + SCRIPTS["hls"].encode()
    return [
        *made,
        write(folder / "reference.mp4", referring(real, str(secret))),
        write(folder / "hls_in_a_box.mp4", hidden),
        write(folder / "hls_in_riff.mp4", b"RIFF\0\0\0\0AVI " + SCRIPTS["hls"].encode()),
        write(folder / "hls_in_a_transport.mp4", (b"\x47" + SCRIPTS["hls"].encode().ljust(187)) * 4),
        write(folder / "hls_in_matroska.mp4", b"\x1aE\xdf\xa3" + SCRIPTS["hls"].encode()),
        write(folder / "zipped.mp4", zlib.compress(SCRIPTS["hls"].encode())),
    ]


def test_text_that_ffmpeg_follows_is_no_video_file(tmp_path: Path) -> None:
    for path in hostile(tmp_path):
        with pytest.raises(Broken):
            open_clip(path.read_bytes(), BUDGET)
    for text in SCRIPTS.values():
        assert not is_safe_to_guess(text.encode())
        with pytest.raises(Broken, match="not a video file: it begins with"):
            open_clip(text.encode(), BUDGET)


def test_the_hostile_clips_that_were_collected_are_no_video_files() -> None:
    if not GIVEN.is_dir():
        pytest.skip(f"no {GIVEN}")
    for path in GIVEN.iterdir():
        with pytest.raises(Broken, match="not a video file: it begins with"):
            open_clip(path.read_bytes(), BUDGET)


@given(st.text(max_size=600))
def test_no_text_is_a_container_but_by_a_beginning_of_the_table(text: str) -> None:
    """A text that begins with letters from the table goes to that container's reader, which opens no other files."""
    known = text[:3] in ("FLV", "GIF") or text[:4] in ("OggS", "RIFF") or text.encode()[4:8] in MOV_BOXES
    assert known or container_of(text.encode()) in (None, "mpegts")


@pytest.mark.parametrize(
    ("container", "codec", "name"),
    [
        ("mp4", "libx264", "mov"), ("mov", "mjpeg", "mov"), ("matroska", "libx264", "matroska"),
        ("webm", "libvpx", "matroska"), ("avi", "mpeg4", "avi"), ("mpegts", "libx264", "mpegts"),
        ("vob", "mpeg2video", "mpeg"), ("flv", "flv", "flv"), ("asf", "wmv2", "asf"), ("gif", "gif", "gif"),
    ],
)  # fmt: skip
def test_the_containers_of_clips_are_known_and_read(container: str, codec: str, name: str) -> None:
    formats = {"gif": "rgb8", "mjpeg": "yuvj420p"}
    clip = clip_bytes(20, size=(64, 64), container=container, codec=codec, pixels=formats.get(codec, "yuv420p"))
    assert container_of(clip) == name
    assert open_clip(clip, BUDGET).frames
    assert is_safe_to_guess(clip) == (name != "mpegts")


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0",
        b"ID3\4",
        b"RIFFxxxxWEBPVP8 ",
        b"\x1f\x8b\x08",
        b"PK\3\4",
        bytes(600),
    ],
)
def test_pictures_sound_and_archives_are_no_video_files(beginning: bytes) -> None:
    assert container_of(beginning) is None


WATCHED = """
import os, sys
from pathlib import Path
from mmafflm.media.decode import Broken, open_clip
from tests.budget import BUDGET
good, *bad = [Path(name).read_bytes() for name in sys.argv[1:]]
open_clip(good, BUDGET, max_s=0.5)
os.access("/the/watch/begins", 0)
for content in [*bad, good]:
    try:
        open_clip(content, BUDGET, max_s=0.5)
    except Broken:
        pass
os.access("/the/watch/ends", 0)
"""


def test_opening_a_clip_opens_nothing_else(tmp_path: Path) -> None:
    """It opens no other file and no socket, according to the kernel's log of every thread."""
    if not (strace := shutil.which("strace")):
        pytest.skip("no strace here: apt-get install strace")
    files = [tmp_path / SECRET, *hostile(tmp_path), *sorted(GIVEN.glob("*"))]
    log = tmp_path / "log"
    words = [strace, "-f", "-qq", "-e", "trace=%file,%network", "-o", log, sys.executable, "-c", WATCHED, *files]
    done = subprocess.run(words, cwd=tmp_path, env={"PYTHONPATH": str(Path.cwd())}, capture_output=True, text=True)
    if done.returncode and "ptrace" in done.stderr.lower():
        pytest.skip(f"strace may not watch here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    begin, end = (
        next(n for n, line in enumerate(lines) if f"/the/watch/{word}" in line) for word in ("begins", "ends")
    )
    assert lines[begin + 1 : end] == []
