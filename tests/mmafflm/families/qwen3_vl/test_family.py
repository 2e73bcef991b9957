"""Qwen3-VL's grids and times are those of transformers, for pictures and clips of many sizes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmafflm.families.base import MediaSize
from mmafflm.families.qwen3_vl.family import FAMILY, grid, seconds, text, tokens

SIDES = st.integers(32, 1500)


@given(st.integers(28, 3000), st.integers(28, 3000))
@settings(max_examples=200, deadline=None)
def test_grids_of_pictures(width: int, height: int) -> None:
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

    rows, columns = smart_resize(height, width, 32, 65536, 16777216)
    assert grid(MediaSize(width, height)) == (1, rows // 16, columns // 16)
    assert tokens(MediaSize(width, height)) == rows * columns // 32**2 + 2 >= 66


@given(SIDES, SIDES, st.integers(1, 128))
@settings(max_examples=200, deadline=None)
def test_grids_of_clips(width: int, height: int, frames: int) -> None:
    """LLaMA-Factory repeats the last of an odd number of frames before the processor sees the clip."""
    from transformers.models.qwen3_vl.video_processing_qwen3_vl import smart_resize

    even = frames + frames % 2
    rows, columns = smart_resize(even, height, width, 2, 32, 4096, 25165824)
    assert grid(MediaSize(width, height, frames)) == (even // 2, rows // 16, columns // 16)


def test_times_are_in_the_middle_of_two_frames() -> None:
    assert list(seconds(MediaSize(64, 64, 5))) == [0.25, 1.25, 2.0]
    assert text(MediaSize(64, 64, 3)).startswith("<0.2 seconds><|vision_start|><|video_pad|>")
    assert text(MediaSize(64, 64, 3)).count("<1.0 seconds>") == 1
    assert tokens(MediaSize(128, 128, 6)) == 3 * (16 + 2 + 6)


def test_a_side_that_the_processor_refuses() -> None:
    from transformers.models.qwen3_vl.video_processing_qwen3_vl import smart_resize

    with pytest.raises(ValueError, match="must be larger than factor"):
        smart_resize(2, 31, 400)
    with pytest.raises(ValueError, match="no side below 32"):
        FAMILY.media.tokens(MediaSize(400, 31, 2))
    assert FAMILY.media.tokens(MediaSize(400, 31)) > 64
