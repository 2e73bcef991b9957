"""--option media=native: pictures and clips at the size of the model's own processor instead of the training budget.

Pictures are as the build stored them. Clips must be stored as files (a build with --raw-video). For the Qwen family,
qwen-vl-utils chooses the frames and scales them, as its makers do; our decoder opens the clips, because that of decord,
which qwen-vl-utils would use, contains an FFmpeg of 2021, and clips come from outside.
"""

import torch
from qwen_vl_utils.vision_process import smart_nframes

from mmafflm.media.budget import BUILD, Budget

FPS, MOST_FRAMES = 2.0, 768  # qwen-vl-utils' own
QWEN = "qwen"  # how the family's model types begin


class _QwenFrames(Budget):
    def frames(self, count: int, duration_s: float) -> list[int]:
        """The frames that qwen-vl-utils takes of a clip."""
        if count < 2 or not duration_s:
            return [0]
        taken = smart_nframes({"fps": self.video_fps}, count, count / duration_s)
        chosen: list[int] = torch.linspace(0, count - 1, taken).round().long().tolist()
        return chosen


def native_budget(kind: str) -> Budget:
    """The limits for a model of this type: the processor's own are lower, except for the number of frames."""
    made = _QwenFrames if kind.startswith(QWEN) else Budget
    return made(image_max_pixels=BUILD.largest, video_max_pixels=BUILD.largest, video_fps=FPS, video_maxlen=MOST_FRAMES)
