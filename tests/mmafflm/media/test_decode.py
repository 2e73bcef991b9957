"""Pictures and clips from outside are repaired in a stated way or refused with a reason; they never cause a crash."""

import io
import math
import random
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from mmafflm.media.decode import Broken, open_clip, open_picture
from tests.budget import BUDGET
from tests.data_build.raw_rows import real
from tests.media_files import clip_bytes, flipped, picture_of, rotated, sound_bytes, striped, write


def saved(picture: Image.Image, form: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def levels(frames: list[Image.Image]) -> list[int]:
    return [int(np.asarray(frame).mean()) for frame in frames]


def test_a_frame_is_taken_every_half_second_from_the_first_to_the_last() -> None:
    clip = open_clip(clip_bytes(75), BUDGET)
    assert len(clip.frames) == 6 and clip.duration_s == pytest.approx(3)
    assert clip.frames[0].size == BUDGET.size(320, 180, video=True)
    shown = levels(clip.frames)
    assert shown == sorted(shown) and shown[0] < 25 and shown[-1] > 215


@pytest.mark.parametrize(("frames", "taken"), [(1, 1), (2, 1), (12, 1), (25, 2), (26, 2), (50, 4), (63, 5)])
def test_short_clips(frames: int, taken: int) -> None:
    assert len(open_clip(clip_bytes(frames), BUDGET).frames) == taken


def test_of_a_long_clip_its_middle_is_taken_and_said() -> None:
    clip = open_clip(clip_bytes(240, fps=2, size=(64, 64)), BUDGET, max_s=60.0)
    assert clip.duration_s == pytest.approx(120) and clip.notes == ("120 s long: its middle 60 s are taken",)
    assert len(clip.frames) == 120
    shown = levels(clip.frames)
    assert shown == sorted(shown) and 65 < shown[0] < 80 and 160 < shown[-1] < 175  # a quarter to three quarters


def test_at_most_128_frames() -> None:
    assert len(open_clip(clip_bytes(300, fps=2, size=(64, 64)), BUDGET).frames) == 128


def test_a_variable_frame_rate_is_read_by_its_frames() -> None:
    times = [0.0, 0.01, 0.02, 0.5, 1.0, 1.9, 2.0]
    clip = open_clip(clip_bytes(7, size=(64, 64), times=times), BUDGET)
    assert 2 <= len(clip.frames) <= 5 and levels(clip.frames)[-1] > 215


@pytest.mark.parametrize(("container", "codec"), [("avi", "mpeg4"), ("matroska", "libx264"), ("mpegts", "libx264")])
def test_containers_that_do_not_tell_their_length(container: str, codec: str) -> None:
    clip = open_clip(clip_bytes(50, container=container, codec=codec), BUDGET)
    assert 3 <= len(clip.frames) <= 4 and levels(clip.frames)[-1] > 210


@pytest.mark.parametrize(("degrees", "size"), [(90, (72, 128)), (180, (128, 72)), (270, (72, 128))])
def test_rotated_clips_stand_upright(degrees: int, size: tuple[int, int]) -> None:
    raw = clip_bytes(25, size=(128, 72), colourful=True)
    plain = open_clip(raw, replace(BUDGET, video_max_pixels=10**6)).frames[0]
    turned = open_clip(rotated(raw, degrees), replace(BUDGET, video_max_pixels=10**6)).frames[0]
    assert turned.size == size
    assert np.array_equal(np.asarray(plain.rotate(-degrees, expand=True)), np.asarray(turned))
    sideways = open_clip(rotated(raw, degrees), replace(BUDGET, video_max_pixels=10**6), upright=False).frames[0]
    assert np.array_equal(np.asarray(plain), np.asarray(sideways))  # as LLaMA-Factory reads a clip


def test_pixels_that_are_not_square_are_stretched() -> None:
    """They are stretched as in a player. LLaMA-Factory does not do this with a clip, nor do we with `upright=False`."""
    budget, aspect = replace(BUDGET, video_max_pixels=10**6), Fraction(64, 45)
    clip = clip_bytes(5, size=(176, 144), pixel_aspect=aspect)
    assert open_clip(clip, budget).frames[0].size == (250, 144)
    assert open_clip(rotated(clip, 90), budget).frames[0].size == (144, 250)
    assert open_clip(clip, budget, upright=False).frames[0].size == (176, 144)
    assert open_clip(clip, BUDGET).frames[0].size == BUDGET.size(250, 144, video=True)
    with pytest.raises(Broken, match="frames of 440000 x 1440 pixels"):
        open_clip(clip_bytes(2, size=(1760, 1440), pixel_aspect=Fraction(250)), BUDGET)


@pytest.mark.parametrize(
    ("frames", "max_s", "pixels"),
    [
        (120, 3.6, "yuv420p"),  # from 4.2 s; after a seek the first frame is at 4.6 s
        (300, 9.0, "yuv444p"),  # from 10.5 s; after a seek the frames from 8.6 to 12.2 s are green, but not marked
    ],
)
def test_the_middle_of_a_clip_without_key_frames_is_decoded_from_the_start(
    frames: int, max_s: float, pixels: str
) -> None:
    content = striped(frames, 10, pixels)
    clip = open_clip(content, BUDGET, max_s=max_s)
    with av.open(io.BytesIO(content)) as container:
        shown = [BUDGET.scaled(frame.to_image(), video=True) for frame in container.decode(video=0)]
    count = int(max_s * 2)
    times = [(frames / 10 - max_s) / 2 + max_s * number / count for number in range(count)]
    for frame, time_s in zip(clip.frames, times, strict=True):
        assert np.array_equal(np.asarray(frame), np.asarray(shown[math.ceil(time_s * 10 - 1e-6)]))


def test_a_clip_that_never_had_a_key_frame_is_refused() -> None:
    """A clip cut from a film between two key frames: its frames are green, and the decoder does not mark them."""
    out = io.BytesIO()
    with av.open(io.BytesIO(striped(120, 10, "yuv444p"))) as film, av.open(out, "w", format="mp4") as cut:
        stream = cut.add_stream_from_template(film.streams.video[0])
        for number, packet in enumerate(film.demux(video=0)):
            if number > 45 and packet.dts is not None:
                packet.stream = stream
                cut.mux(packet)
    with pytest.raises(Broken, match=r"(\d+) of \1 frames are damaged"):
        open_clip(out.getvalue(), BUDGET)


def test_a_few_damaged_frames_are_noted_and_many_are_refused() -> None:
    whole = clip_bytes(200, colourful=True)
    assert open_clip(whole, BUDGET).notes == ()
    (note,) = open_clip(flipped(whole, seed=1, count=1), BUDGET).notes
    assert note == "1 of 200 frames are damaged"
    with pytest.raises(Broken, match=r"\d\d of \d+ frames are damaged"):
        open_clip(flipped(whole, seed=1, count=200), BUDGET)
    middle = open_clip(flipped(whole, seed=1, count=1), BUDGET, max_s=4.0)
    assert len(middle.frames) == 8


@pytest.mark.parametrize("container", ["mp4", "matroska"])
def test_packets_that_cannot_be_decoded_do_not_end_a_clip(container: str) -> None:
    """Every fifth picture of a motion JPEG is cut off; no picture depends on another."""
    whole = clip_bytes(40, size=(64, 64), container=container, codec="mjpeg", options={"strict": "unofficial"})
    parts = whole.split(b"\xff\xd8\xff")
    assert len(parts) == 40 + 1
    torn = parts[0] + b"".join(
        b"\xff\xd8\xff" + (part if number % 5 else bytes(len(part) - 64) + part[-64:])
        for number, part in enumerate(parts[1:])
    )
    clip = open_clip(torn, BUDGET)
    assert clip.notes == ("32 of 40 frames can be decoded",)
    assert levels(clip.frames)[-1] > 200


def test_a_clip_that_ends_early_gives_what_it_holds() -> None:
    whole = clip_bytes(100, container="matroska", colourful=True)
    clip = open_clip(whole[: len(whole) * 9 // 10], BUDGET)
    assert 1 <= len(clip.frames) < len(open_clip(whole, BUDGET).frames)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a video file: it is empty"),
        (b"<!DOCTYPE html><title>404 Not Found</title>", "not a video file: it begins with '<!DOCTYPE html><'"),
        (saved(Image.new("RGB", (64, 64)), "PNG"), r"not a video file: it begins with '\\x89PNG"),
        (sound_bytes(), "no video stream"),
        (clip_bytes(50)[:-400], "broken clip"),  # the index comes last in an mp4
        (saved(Image.new("RGB", (64, 64)), "GIF")[:20], "no frame can be decoded|broken clip"),
    ],
)
def test_what_is_no_clip_has_a_reason(content: bytes, reason: str, tmp_path: Path) -> None:
    with pytest.raises(Broken, match=reason):
        open_clip(content, BUDGET)
    with pytest.raises(Broken, match=reason):
        open_clip(write(tmp_path / "a clip – ü.mp4", content), BUDGET)


def test_mutated_media_never_crash() -> None:
    """Files with flipped, cut and repeated bytes: each opens or gets a reason."""
    draw = random.Random(3)
    originals = [
        (open_picture, saved(picture_of(64, 48), "JPEG")),
        (open_picture, saved(picture_of(64, 48).convert("P"), "PNG")),
        (lambda content: open_clip(content, BUDGET), clip_bytes(12, size=(64, 64), colourful=True)),
        (lambda content: open_clip(content, BUDGET), clip_bytes(12, container="avi", codec="mpeg4", size=(64, 64))),
    ]
    outcomes = set()
    for opener, original in originals:
        for _ in range(60):
            content = bytearray(original)
            for _ in range(draw.choice([1, 5, 50])):
                content[draw.randrange(len(content))] = draw.randrange(256)
            if draw.random() < 0.3:
                del content[draw.randrange(len(content)) :]
            try:
                opener(bytes(content))
                outcomes.add("opened")
            except Broken as error:
                outcomes.add("broken" if str(error) else "silent")
    assert outcomes == {"opened", "broken"}


@pytest.mark.parametrize("name", ["1.mp4", "2.avi", "3.mp4", "4.mp4", "1.jpg", "2.jpg", "3.jpg"])
def test_real_files_cut_and_corrupted(name: str) -> None:
    """Real pictures and clips open; when cut or corrupted, they open in part or get a reason."""
    content = (real("clips") / name).read_bytes()
    picture = name.endswith("jpg")

    def opened(data: bytes) -> int:
        try:
            return 1 if picture and open_picture(data) else len(open_clip(data, BUDGET).frames)
        except Broken as error:
            assert str(error)  # noqa: PT017
            return 0

    whole = opened(content)
    assert whole >= 1
    draw = random.Random(name)
    for _ in range(12):
        cut = content[: draw.randrange(len(content))]
        corrupt = bytearray(content)
        for _ in range(draw.choice([1, 20, 500])):
            corrupt[draw.randrange(len(corrupt))] = draw.randrange(256)
        assert 0 <= opened(cut) <= whole + 1 and opened(bytes(corrupt)) <= BUDGET.video_maxlen
