"""--option media=native: pictures and clips at the size of the model's own processor instead of the training budget.

The processor gets pictures as the build stored them. Clips must be stored as files (a build with --raw-video). For the
Qwen family, qwen-vl-utils chooses the frames and scales them, as in Qwen's own code. Our decoder opens the clips, or
with reader=decord the library decord, which Qwen's own code uses. decord contains an FFmpeg of 2021 with known
vulnerabilities, so use it only for clips that you trust.
"""

from pathlib import Path

import torch
from PIL import Image
from qwen_vl_utils.vision_process import smart_nframes

from eval.engines.media import Frames
from mmafflm.errors import Fault, in_a_line
from mmafflm.media.budget import BUILD, Budget
from mmafflm.media.containers import require_safe_to_guess

FPS, MOST_FRAMES = 2.0, 768  # the defaults of qwen-vl-utils
QWEN = "qwen"  # the model types of the family begin with this


class _QwenFrames(Budget):
    def frames(self, count: int, duration_s: float) -> list[int]:
        """The numbers of the frames that qwen-vl-utils chooses from a clip."""
        if count < 2 or not duration_s:
            return [0]
        taken = smart_nframes({"fps": self.video_fps}, count, count / duration_s)
        chosen: list[int] = torch.linspace(0, count - 1, taken).round().long().tolist()
        return chosen


def native_budget(kind: str) -> Budget:
    """The limits for a model of this type: high enough that only the processor's own apply, except for frames."""
    made = _QwenFrames if kind.startswith(QWEN) else Budget
    return made(image_max_pixels=BUILD.largest, video_max_pixels=BUILD.largest, video_fps=FPS, video_maxlen=MOST_FRAMES)


def decord_frames(path: Path, budget: Budget) -> Frames:
    """The frames of a clip under `budget`, read by decord. Raises Fault when decord cannot read it."""
    from decord import VideoReader

    require_safe_to_guess([path])  # decord lets FFmpeg guess the container
    try:
        clip = VideoReader(str(path))
        seconds = len(clip) / clip.get_avg_fps()
        taken = budget.frames(len(clip), seconds)
        pictures = [Image.fromarray(frame) for frame in clip.get_batch(taken).asnumpy()]
    except Exception as error:  # DECORDError is a plain Exception
        raise Fault(f"{path}: decord cannot read it ({in_a_line(error)}). Leave out --option reader=decord.") from None
    return Frames(pictures, len(taken) / seconds)
