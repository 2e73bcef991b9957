"""Pictures and clips of a corpus are opened once and stored by content; broken ones get a reason."""

import base64
import io
import json
import os
import tarfile
import zipfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_build.media.extract import LIMIT_S, extract, media_workers
from data_build.media.free_disk import spread
from data_build.media.journal import JOURNAL, Taken, read_journal
from data_build.reading.corpus import RawMedia
from data_build.reading.raw import list_raw
from mmafflm.errors import Fault
from tests.budget import BUDGET
from tests.media_files import clip_bytes, picture_of, sound_bytes, write


def jpeg(width: int, height: int, seed: int = 0) -> bytes:
    out = io.BytesIO()
    picture_of(width, height, seed).save(out, "JPEG")
    return out.getvalue()


def take_all(root: Path, data: Path, *media: RawMedia, limit_s: float = LIMIT_S, **options: object) -> list[Taken]:
    raw = {file.name: file for file in list_raw(root)}
    data.mkdir(exist_ok=True)
    wanted = [one.to_json() for one in media]
    with media_workers(2, limit_s) as workers:
        found = extract("made", wanted, raw, data, workers, BUDGET, **options)
    return [found[text] for text in wanted]


def stored(data: Path, taken: Taken) -> list[Image.Image]:
    return [Image.open(data / name) for name, _, _ in taken.files]


def image(file: str, box: tuple[int, int, int, int] | None = None) -> RawMedia:
    return RawMedia("image", file, box)


def test_pictures_are_cropped_scaled_and_named_by_what_they_show(tmp_path: Path) -> None:
    root, data = tmp_path / "raw", tmp_path / "data"
    content = jpeg(1000, 800)
    write(root / "one ü.jpg", content)
    write(root / "sub/copy.jpg", content)
    whole, copy, crop, beyond, outside = take_all(
        root, data, image("one ü.jpg"), image("sub/copy.jpg"), image("one ü.jpg", (100, 50, 300, 250)),
        image("one ü.jpg", (-20, -20, 100, 100)), image("one ü.jpg", (1000, 0, 1200, 100)),
    )  # fmt: skip
    assert whole.files == copy.files  # the same content is stored once
    assert stored(data, whole)[0].size == BUDGET.size(1000, 800) == (whole.width, whole.height)
    source = np.asarray(Image.open(io.BytesIO(content)))
    assert np.array_equal(np.asarray(stored(data, crop)[0]), source[50:250, 100:300])
    assert (beyond.width, beyond.height) == (100, 100)
    assert outside.reason == "box [1000, 0, 1200, 100] is outside the picture of 1000 x 800" and not outside.files
    assert not list(data.rglob("*.partial"))


def test_grey_pixels_of_a_table(tmp_path: Path) -> None:
    pixels = np.arange(2304, dtype=np.uint32).astype(np.uint8)
    (tmp_path / "raw").mkdir()
    (taken,) = take_all(
        tmp_path / "raw", tmp_path / "data", RawMedia("image", grey=base64.b64encode(pixels.tobytes()).decode())
    )
    assert np.array_equal(np.asarray(stored(tmp_path / "data", taken)[0])[..., 0], pixels.reshape(48, 48))


def test_clips_out_of_folders_zips_and_nested_tars_are_the_same(tmp_path: Path) -> None:
    clip, root = clip_bytes(60, colourful=True), tmp_path / "raw"
    write(root / "plain.mp4", clip)
    with zipfile.ZipFile(root / "a.zip", "w") as archive:
        archive.writestr("in/zip.mp4", clip)
        archive.writestr("in/broken.mp4", clip[: len(clip) // 2])
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w:gz") as archive:
        info = tarfile.TarInfo("splits/dia0_utt0.mp4")
        info.size = len(clip)
        archive.addfile(info, io.BytesIO(clip))
    with tarfile.open(root / "b.tar.gz", "w:gz") as archive:
        info = tarfile.TarInfo("MELD.Raw/train.tar.gz")
        info.size = len(inner.getvalue())
        archive.addfile(info, io.BytesIO(inner.getvalue()))
    names = [file.name for file in list_raw(root)]
    assert len(names) == 4
    taken = dict(
        zip(names, take_all(root, tmp_path / "data", *(RawMedia("video", name) for name in names)), strict=True)
    )
    good = [one for name, one in taken.items() if "broken" not in name]
    assert len({one.files for one in good}) == 1 and good[0].frames == 4
    assert taken["a.zip!in/broken.mp4"].reason.startswith("broken clip")


def test_raw_video_keeps_the_clip(tmp_path: Path) -> None:
    clip = write(tmp_path / "raw/c.mp4", clip_bytes(60)).read_bytes()
    (taken,) = take_all(tmp_path / "raw", tmp_path / "data", RawMedia("video", "c.mp4"), raw_video=True)
    assert (tmp_path / "data" / taken.files[0][0]).read_bytes() == clip and taken.frames == 4


def test_a_second_call_opens_only_what_is_new(tmp_path: Path) -> None:
    root, data = tmp_path / "raw", tmp_path / "data"
    write(root / "a.jpg", jpeg(60, 60))
    write(root / "b.jpg", jpeg(60, 60, 1))
    first, second = take_all(root, data, image("a.jpg"), image("b.jpg"))
    lines = (data / JOURNAL).read_bytes()
    assert take_all(root, data, image("a.jpg"), image("b.jpg")) == [first, second]
    assert (data / JOURNAL).read_bytes() == lines
    (data / second.files[0][0]).unlink()  # somebody deleted a file
    assert take_all(root, data, image("a.jpg"), image("b.jpg")) == [first, second]
    assert (data / second.files[0][0]).is_file()
    write(root / "a.jpg", jpeg(60, 60, 2))  # another picture under the old name
    os.utime(root / "a.jpg", ns=(1, 1))
    assert take_all(root, data, image("a.jpg"))[0].files != first.files
    with (data / JOURNAL).open("ab") as out:
        out.write(b'{"key": "torn')
    assert len(read_journal(data)) == 3


def test_broken_files_have_a_reason_and_the_rest_goes_on(tmp_path: Path) -> None:
    root = tmp_path / "raw"
    broken = {
        "html.mp4": b"<html>404</html>", "cut.jpg": jpeg(300, 300)[:2000], "sound.mp4": sound_bytes(),
        "empty.mp4": b"", "text.jpg": b"hello", "list.mp4": b"ffconcat version 1.0\nfile good.mp4\n",
    }  # fmt: skip
    for name, content in broken.items():
        write(root / name, content)
    write(root / "good.jpg", jpeg(60, 60))
    media = [RawMedia("video" if name.endswith("mp4") else "image", name) for name in [*broken, "good.jpg"]]
    *bad, good = take_all(root, tmp_path / "data", *media)
    assert all(one.reason and not one.files for one in bad) and good.files and not good.reason
    assert bad[2].reason == "no video stream"
    assert bad[-1].reason == "not a video file: it begins with 'ffconcat version'"


def test_a_small_disk_is_refused_by_the_first_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{number}.jpg" for number in range(12)]
    for number, name in enumerate(names):
        write(tmp_path / "raw" / name, jpeg(60, 60 + number))
    monkeypatch.setattr("data_build.media.free_disk.SAMPLE", 5)
    monkeypatch.setattr("data_build.media.free_disk.shutil.disk_usage", lambda _: _Small())
    with pytest.raises(Fault, match=r"made: 12 pictures and clips take about 0\.00 GB, .* and .* has 0\.00 GB free"):
        take_all(tmp_path / "raw", tmp_path / "data", *map(image, names))
    assert 5 <= len(read_journal(tmp_path / "data")) < 12


class _Small:
    free = 1000


def test_media_as_json_is_the_same_text_for_the_same_request() -> None:
    media = RawMedia("image", "a.jpg", (1, 2, 3, 4))
    assert json.loads(media.to_json()) == {"kind": "image", "file": "a.jpg", "box": [1, 2, 3, 4]}


def test_a_member_that_is_too_large_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the size stated in the archive; the same limit for a file, a zip and a streamed tar."""
    root, clip = tmp_path / "raw", clip_bytes(12)
    write(root / "a.mp4", clip)
    with zipfile.ZipFile(root / "a.zip", "w") as archive:
        archive.writestr("b.mp4", clip)
    with tarfile.open(root / "a.tar.gz", "w:gz") as archive:
        info = tarfile.TarInfo("c.mp4")
        info.size = len(clip)
        archive.addfile(info, io.BytesIO(clip))
    raw = {file.name: replace(file, size=3_000_000_000) for file in list_raw(root)}
    (tmp_path / "data").mkdir()
    monkeypatch.setattr("data_build.media.extract.stream_members", None)  # nothing may be streamed
    wanted = [RawMedia("video", name).to_json() for name in raw]
    with media_workers(1) as workers:
        found = extract("made", wanted, raw, tmp_path / "data", workers, BUDGET)
    assert {one.reason for one in found.values()} == {"file of 3.0 GB is too large"} and len(found) == 3


def test_a_clip_that_took_too_long_is_tried_again(tmp_path: Path) -> None:
    """The file is not broken: the machine may have been busy."""
    write(tmp_path / "raw/a.mp4", clip_bytes(50))
    (slow,) = take_all(tmp_path / "raw", tmp_path / "data", RawMedia("video", "a.mp4"), limit_s=0.0)
    assert slow.reason == "not decoded in 0 s" and not read_journal(tmp_path / "data")
    (again,) = take_all(tmp_path / "raw", tmp_path / "data", RawMedia("video", "a.mp4"))
    assert again.files and not again.reason


@pytest.mark.parametrize("count", [3, 100, 199, 299, 5000])
def test_the_first_ones_come_from_all_of_a_corpus(count: int) -> None:
    items = dict.fromkeys((f"{number:05}" for number in range(count)), 0)
    found = [int(name) for name in spread(items)]
    assert sorted(found) == list(range(count))
    gaps = [after - before for before, after in pairwise([*found[:100], count])]
    assert max(gaps) - min(gaps) <= 1
