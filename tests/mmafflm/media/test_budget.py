"""mmafflm/media/budget.py predicts exactly what LLaMA-Factory's plugin and the base's processor do."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from data_build.media.extract import extract, media_workers
from data_build.reading.corpus import RawMedia
from data_build.reading.raw import list_raw
from eval.engines import Question
from eval.engines.hf.vision import Vision
from mmafflm.families.find import built_for
from mmafflm.families.qwen2_5_vl.media import grid
from mmafflm.media.budget import vision_tokens
from tests.budget import BUDGET
from tests.data_build.raw_rows import real
from tests.media_files import clip_bytes, picture_of, rotated, write


@pytest.fixture(scope="module")
def processor(nano: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The processor with the budget, set up for training by LLaMA-Factory's own loader."""
    parser = pytest.importorskip("llamafactory.hparams")
    from llamafactory.model import load_tokenizer

    arguments = {
        "model_name_or_path": str(nano), **BUDGET.to_json(), "stage": "sft", "template": "qwen2_vl", "do_train": True,
        "finetuning_type": "full", "dataset": "x", "output_dir": str(tmp_path_factory.mktemp("run")),
    }  # fmt: skip
    model_arguments = parser.get_train_args(arguments)[0]
    return load_tokenizer(model_arguments)["processor"]


@pytest.fixture(scope="module")
def plugin() -> Any:
    from llamafactory.data.mm_plugin import get_mm_plugin

    return get_mm_plugin(
        "qwen2_vl", image_token="<|image_pad|>", video_token="<|video_pad|>", vision_bos_token="<|vision_start|>",
        vision_eos_token="<|vision_end|>",
    )  # fmt: skip


def trained(plugin: Any, processor: Any, images: list[Any], videos: list[Any]) -> dict[str, Any]:
    """The input that LLaMA-Factory's collator gives the model."""
    fed: dict[str, Any] = plugin.get_mm_inputs(images, videos, [], [len(images)], [len(videos)], [0], [], processor)
    return fed


def stored(root: Path, data: Path, media: RawMedia) -> tuple[str, ...]:
    """The files that the build makes from one raw file."""
    data.mkdir(exist_ok=True)
    with media_workers(1) as workers:
        taken = extract("made", [media.to_json()], {file.name: file for file in list_raw(root)}, data, workers, BUDGET)
    (one,) = taken.values()
    assert not one.reason, one.reason
    return tuple(name for name, _, _ in one.files)


@given(st.integers(1, 6000), st.integers(1, 6000), st.booleans())
@example(10_000, 20, True)
@example(29, 29, False)
@settings(max_examples=300, deadline=None)
def test_sizes_are_those_of_the_plugin(width: int, height: int, video: bool) -> None:
    from llamafactory.data.mm_plugin import get_mm_plugin

    plugin = get_mm_plugin("qwen2_vl", image_token="<i>", video_token="<v>")
    most, least = (BUDGET.video_max_pixels, 256) if video else (BUDGET.image_max_pixels, 1024)
    once = plugin._get_qwen_video_size_after_regularization(width, height, most, least)
    ours = BUDGET.size(width, height, video)
    assert BUDGET.size(*ours, video) == ours
    assert plugin._get_qwen_video_size_after_regularization(*ours, most, least) == ours
    if plugin._get_qwen_video_size_after_regularization(*once, most, least) == once:
        assert ours == once


@given(st.integers(28, 3000), st.integers(28, 3000), st.integers(1, 128))
@settings(max_examples=200, deadline=None)
def test_grids_are_those_of_the_processor(width: int, height: int, frames: int) -> None:
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

    if max(width, height) / min(width, height) < 200:
        rows, columns = smart_resize(height, width, 28, 3136, 12845056)
        assert grid(width, height) == (1, rows // 14, columns // 14)
        assert grid(width, height, frames) == ((frames + 1) // 2, rows // 14, columns // 14)
        assert vision_tokens(width, height, frames) == (frames + 1) // 2 * rows * columns // 28**2 + 2


@pytest.mark.parametrize("size", [(640, 480), (1024, 768), (48, 48), (20, 300), (513, 511), (3000, 200), (111, 640)])
def test_pictures_cost_and_show_the_same_in_evaluation(
    plugin: Any, processor: Any, tmp_path: Path, size: tuple[int, int]
) -> None:
    picture_of(*size).save(tmp_path / "raw.png")
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw.png").rename(tmp_path / "raw/a.png")
    (name,) = stored(tmp_path / "raw", tmp_path / "data", RawMedia("image", "a.png"))
    of_raw = trained(plugin, processor, [str(tmp_path / "raw/a.png")], [])
    of_stored = trained(plugin, processor, [str(tmp_path / "data" / name)], [])
    vision = Vision(processor, tmp_path / "data", BUDGET, built_for())
    question = Question("<image>?", (name,))
    asked = vision.pixels(question)
    for fed in (of_raw, of_stored):
        assert torch.equal(asked.image_grid, fed["image_grid_thw"])
        assert torch.equal(asked.images, fed["pixel_values"])
    assert tuple(asked.image_grid[0].tolist()) == grid(*BUDGET.size(*size))
    assert vision.text(question).count("<|image_pad|>") + 2 == vision_tokens(*BUDGET.size(*size))


CLIPS = [
    {"frames": 3}, {"frames": 1}, {"frames": 13}, {"frames": 38}, {"frames": 75}, {"frames": 76, "fps": 24000 / 1001},
    {"frames": 60, "fps": 12, "size": (720, 1280)}, {"frames": 33, "fps": 10, "size": (224, 224)},
    {"frames": 600, "fps": 2, "size": (64, 64)}, {"frames": 45, "fps": 15, "size": (1280, 720)},
    {"frames": 7, "times": [0.0, 0.01, 0.02, 0.5, 1.0, 1.9, 2.0]}, {"frames": 50, "size": (640, 90)},
]  # fmt: skip


@pytest.mark.parametrize("about", CLIPS, ids=str)
def test_clips_cost_and_show_the_same_as_clip_as_frames_and_in_evaluation(
    plugin: Any, processor: Any, tmp_path: Path, about: dict[str, Any]
) -> None:
    write(tmp_path / "raw/media/a.mp4", clip_bytes(**about, colourful=True))
    names = stored(tmp_path / "raw", tmp_path / "data", RawMedia("video", "media/a.mp4"))
    of_clip = trained(plugin, processor, [], [str(tmp_path / "raw/media/a.mp4")])
    of_frames = trained(plugin, processor, [], [[str(tmp_path / "data" / name) for name in names]])
    asked = Vision(processor, tmp_path / "data", BUDGET, built_for()).pixels(Question("<video>?", (), (names,)))
    raw = Vision(processor, tmp_path / "raw", BUDGET, built_for())
    asked_raw = raw.pixels(Question("<video>?", (), ("media/a.mp4",)))
    for fed in (of_clip, of_frames):
        for ours in (asked, asked_raw):
            assert torch.equal(ours.video_grid, fed["video_grid_thw"])
            assert torch.equal(ours.videos, fed["pixel_values_videos"])
    assert asked.seconds == pytest.approx(of_frames["second_per_grid_ts"])
    assert asked_raw.seconds == pytest.approx(of_clip["second_per_grid_ts"])
    size = BUDGET.size(*about.get("size", (320, 180)), video=True)
    assert tuple(asked.video_grid[0].tolist()) == grid(*size, len(names))
    tokens = raw.text(Question("<video>?", (), ("media/a.mp4",))).count("<|video_pad|>")
    assert tokens + 2 == vision_tokens(*size, len(names))


def test_a_rotated_clip_is_upright_as_frames_and_sideways_as_a_clip(
    plugin: Any, processor: Any, tmp_path: Path
) -> None:
    """LLaMA-Factory ignores the rotation mark; the build obeys it, so that training sees what a person sees."""
    write(tmp_path / "raw/a.mp4", rotated(clip_bytes(50, size=(320, 180), colourful=True), 90))
    names = stored(tmp_path / "raw", tmp_path / "data", RawMedia("video", "a.mp4"))
    of_frames = trained(plugin, processor, [], [[str(tmp_path / "data" / name) for name in names]])
    asked = Vision(processor, tmp_path / "data", BUDGET, built_for()).pixels(Question("<video>?", (), (names,)))
    assert torch.equal(asked.videos, of_frames["pixel_values_videos"])
    _, rows, columns = asked.video_grid[0].tolist()
    assert rows > columns


@pytest.mark.parametrize(("frames", "size"), [(75, (1280, 720)), (100, (640, 360)), (150, (320, 180))])
def test_qwen_vl_utils_agrees_with_our_arguments(
    plugin: Any, processor: Any, tmp_path: Path, frames: int, size: tuple[int, int]
) -> None:
    """They agree when both take an even number of frames and round a side alike. Its own defaults cost 40 times more.

    They differ when training repeats the last of an odd number of frames (utils drops it), and when training rounds a
    side up to a multiple of 28 (utils rounds down: 224 x 224 gives 4 x 4 tokens there, 5 x 5 in training).
    """
    utils = pytest.importorskip("qwen_vl_utils")
    path = write(tmp_path / "a.mp4", clip_bytes(frames, size=size, colourful=True))
    fed = trained(plugin, processor, [], [str(path)])
    video = utils.fetch_video(
        {"video": str(path), "fps": BUDGET.video_fps, "min_pixels": 256, "max_pixels": BUDGET.video_max_pixels,
         "max_frames": BUDGET.video_maxlen, "min_frames": 2}
    )  # fmt: skip
    t, h, w = fed["video_grid_thw"][0].tolist()
    assert (len(video) // 2, video.shape[2] // 14, video.shape[3] // 14) == (t, h, w)


@given(st.integers(1, 20_000), st.floats(0.1, 300))
@settings(max_examples=300, deadline=None)
def test_frames_are_spread_from_the_first_to_the_last(count: int, duration_s: float) -> None:
    taken = BUDGET.frames(count, duration_s)
    assert 1 <= len(taken) <= min(count, 128) and taken[0] == 0 and len(set(taken)) == len(taken)
    assert taken == np.linspace(0, count - 1, len(taken)).astype(int).tolist()
    assert len(taken) == min(count, 128, max(1, int(duration_s * 2)))


@pytest.mark.parametrize("name", ["1.mp4", "2.avi", "3.mp4", "4.mp4"])
def test_real_clips_cost_and_show_the_same(plugin: Any, processor: Any, tmp_path: Path, name: str) -> None:
    write(tmp_path / "raw" / name, (real("clips") / name).read_bytes())
    names = stored(tmp_path / "raw", tmp_path / "data", RawMedia("video", name))
    of_clip = trained(plugin, processor, [], [str(tmp_path / "raw" / name)])
    asked = Vision(processor, tmp_path / "data", BUDGET, built_for()).pixels(Question("<video>?", (), (names,)))
    assert torch.equal(asked.video_grid, of_clip["video_grid_thw"])
    assert torch.equal(asked.videos, of_clip["pixel_values_videos"])


def test_a_recipe_of_fewer_pixels_shows_the_same_in_evaluation(
    plugin: Any, processor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = BUDGET.lowered({"image_max_pixels": 12544})
    with pytest.raises(ValueError, match="image_max_pixels must be a number, not '100'"):
        BUDGET.lowered({"image_max_pixels": "100"})
    monkeypatch.setattr(processor, "image_max_pixels", few.image_max_pixels)  # as LLaMA-Factory sets it
    (tmp_path / "media").mkdir()
    picture_of(512, 300).save(tmp_path / "media/a.png")
    fed = trained(plugin, processor, [str(tmp_path / "media/a.png")], [])
    asked = Vision(processor, tmp_path, few, built_for()).pixels(Question("<image>?", ("media/a.png",)))
    assert tuple(asked.image_grid[0].tolist()) == grid(*few.size(512, 300)) != grid(*BUDGET.size(512, 300))
    assert torch.equal(asked.image_grid, fed["image_grid_thw"]) and torch.equal(asked.images, fed["pixel_values"])


@pytest.mark.parametrize(("size", "video"), [((2048, 1536), False), ((1600, 900), False), ((640, 360), True)])
def test_scaling_twice_is_nearly_scaling_once(size: tuple[int, int], video: bool) -> None:
    """Stored for a large budget and then lowered by a recipe (docs/reference/training.md)."""
    large = replace(BUDGET, image_max_pixels=1024 * 1024, video_max_pixels=65536)
    picture = picture_of(*size)
    twice, once = (
        np.asarray(BUDGET.scaled(one, video=video), dtype=float)
        for one in (large.scaled(picture, video=video), picture)
    )
    assert twice.shape == once.shape and np.abs(twice - once).mean() < 0.4 and np.abs(twice - once).max() <= 3
