"""The arguments for clips with which a transformers processor treats their frames as in training."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from eval.engines.media import Frames

# The processors of these model types scale clips up unless their own video limits are passed to them.
OWN_VIDEO_SIZE = ("qwen2_5_omni_thinker",)
# For some families LLaMA-Factory processes frames as pictures. These settings of the image processor then apply.
FRAMES_AS_PICTURES = ("size", "image_mean", "image_std", "rescale_factor", "resample")


def array(clip: Frames, step: int) -> npt.NDArray[np.uint8]:
    """The clip as (frames, height, width, 3); its last frame is repeated to fill a time step of `step` frames."""
    frames = [np.asarray(picture) for picture in clip.pictures]
    return np.stack(frames + frames[-1:] * (-len(frames) % step))


def told(clips: Sequence[Frames], step: int) -> dict[str, Any]:
    """The processor's arguments for clips: do not sample frames, and the times of the frames.

    A frame that is repeated to fill a time step of `step` frames keeps its time, as in LLaMA-Factory.
    """
    metadata = []
    for clip in clips:
        count = len(clip.pictures)
        indices = [*range(count), *[count - 1] * (-count % step)]
        metadata.append({"total_num_frames": len(indices), "fps": clip.fps, "duration": count / clip.fps,
                         "frames_indices": indices})  # fmt: skip
    return {"do_sample_frames": False, "video_metadata": metadata}


def as_pictures(processor: Any) -> dict[str, Any]:
    """The settings that a processor uses for pictures, as arguments for its clips."""
    found = {name: getattr(processor.image_processor, name) for name in FRAMES_AS_PICTURES}
    return found | {"size": dict(found["size"])}
