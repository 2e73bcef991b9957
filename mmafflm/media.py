"""The pixel and frame budget of MMAFFLM, and nothing else knows it (paper, training set-up; the base's processor)."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Budget:
    """What a picture and a clip may cost. It travels with the weights in run.json; evaluation uses the same."""

    image_max_pixels: int = 262144
    video_max_pixels: int = 16384  # a frame
    video_fps: float = 2.0
    video_maxlen: int = 128  # frames

    def to_json(self) -> dict[str, float]:
        """The four numbers, by LLaMA-Factory's names for them."""
        return asdict(self)


# The processors of Qwen2.5-VL-3B and -7B. With transformers' defaults in their place a frame costs eight times as much.
PATCH, MERGE, TEMPORAL = 14, 2, 2
MIN_PIXELS, MAX_PIXELS = 3136, 12845056
