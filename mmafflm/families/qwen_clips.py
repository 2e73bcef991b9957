"""A clip as Qwen's own qwen-vl-utils scales it, for evaluation with a Qwen model's original media processing."""

from collections.abc import Sequence
from typing import Any

from PIL import Image


def native_clip(pictures: Sequence[Image.Image], fps: float, processor: Any) -> Any:
    """The clip, (frames, 3, height, width), with values from 0 to 255. processor: the checkpoint's own."""
    from qwen_vl_utils import fetch_video

    video = {"video": list(pictures), "sample_fps": fps}
    return fetch_video(video, image_patch_size=processor.video_processor.patch_size)
