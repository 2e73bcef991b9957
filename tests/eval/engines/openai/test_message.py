"""What a question looks like in a request: pictures and clips arrive as hf shows them."""

import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image

from eval.engines import Question
from eval.engines.media import MediaReader
from eval.engines.openai import message
from mmafflm.media.budget import open_frames, open_images
from mmafflm.media.decode import open_clip
from tests.budget import BUDGET
from tests.media_files import picture_of


def test_pictures_and_clips_arrive_without_loss(tmp_path: Path) -> None:
    (tmp_path / "media").mkdir()
    for number in range(3):
        picture_of(1500, 900, number).save(tmp_path / f"media/p{number}.png")
        picture_of(141, 113, number).save(tmp_path / f"media/f{number}.png")
    frames = tuple(f"media/f{number}.png" for number in range(3))
    question = Question("A <image> then <video> and <image>?", ("media/p0.png", "media/p1.png"), (frames,))
    shown = MediaReader(tmp_path, BUDGET)
    parts = message.content(question, shown, "frames")
    pictures, clip = open_images(tmp_path, question.images, BUDGET), open_frames(tmp_path, frames, BUDGET)
    assert not isinstance(parts, str)
    assert [part.get("text", "*") for part in parts] == ["A ", "*", " then ", "*", "*", "*", " and ", "*", "?"]
    sent = [_opened(part["image_url"]["url"]) for part in parts if part["type"] == "image_url"]
    for ours, theirs in zip([pictures[0], *clip[:3], pictures[1]], sent, strict=True):
        assert np.array_equal(np.asarray(ours), np.asarray(theirs))

    film = message.content(question, shown, "mp4")[3]["video_url"]["url"]  # type: ignore[index]
    assert film.startswith("data:video/mp4;base64,")
    seen = open_clip(base64.b64decode(film.split(",")[1]), BUDGET)
    assert seen.duration_s == 2 and len(seen.frames) == 4  # two per second, the last one twice, as in training
    assert all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in zip(clip, seen.frames, strict=True))
    grey = message.content(question._replace(blank=True), shown, "frames")
    assert len(grey) == len(parts) and grey[3] == grey[4] != parts[3]
    assert message.content(Question("Only text, with an <image>."), shown, "frames") == "Only text, with an <image>."


def _opened(url: str) -> Image.Image:
    kind, data = url.split(",")
    assert kind == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))
