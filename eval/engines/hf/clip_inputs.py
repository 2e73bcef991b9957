"""What a processor of transformers must be told of clips, so that it treats their frames as training does."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from eval.engines.media import Frames

# The processors of these model types scale clips up unless given their own video limits.
OWN_VIDEO_SIZE = ("qwen2_5_omni_thinker",)
# LLaMA-Factory gives these the frames of a clip as pictures, so the settings of the image processor apply.
FRAMES_AS_PICTURES = ("size", "image_mean", "image_std", "rescale_factor", "resample")


def array(clip: Frames, step: int) -> npt.NDArray[np.uint8]:
    """(frames, height, width, 3); the last frame is repeated to fill a time step of `step` frames."""
    frames = [np.asarray(picture) for picture in clip.pictures]
    return np.stack(frames + frames[-1:] * (-len(frames) % step))


def told(clips: Sequence[Frames], step: int) -> dict[str, Any]:
    """The processor's arguments: all frames are sampled already, and their times.

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
    """The settings of a processor's pictures, for its clips."""
    found = {name: getattr(processor.image_processor, name) for name in FRAMES_AS_PICTURES}
    return found | {"size": dict(found["size"])}
