"""A question's pictures and clips as the model takes them: the tokens that stand for them, and their pixels.

Everything here must equal what LLaMA-Factory made of the same record in training; tests compare both. What a picture
may cost, mmafflm/media.py says.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from eval.engines import Question
from eval.engines.shown import Shown
from mmafflm.media import TEMPORAL, Budget, vision_tokens
from mmafflm.positions import rope_index

START, END = "<|vision_start|>", "<|vision_end|>"
IMAGE, VIDEO = "<|image_pad|>", "<|video_pad|>"


class Pixels(NamedTuple):
    """The processor's output for one question; None where it has no pictures, or no clips.

    images, videos: (patches, patch size); *_grid: (pictures or clips, 3); seconds: what one step in time of each clip's
    grid lasts.
    """

    images: torch.Tensor | None
    image_grid: torch.Tensor | None
    videos: torch.Tensor | None
    video_grid: torch.Tensor | None
    seconds: list[float]


class Vision:
    """The processor of a checkpoint under one budget."""

    def __init__(self, processor: Any, root: Path, budget: Budget) -> None:
        self.processor, self.budget = processor, budget
        self.shown = Shown(root, budget)

    def text(self, question: Question) -> str:
        """The prompt with the tokens of its media in place of <image> and <video>."""
        prompt = question.prompt
        for image in question.images:
            size = self.budget.size(*self.shown.size(image))
            prompt = prompt.replace("<image>", _expanded(IMAGE, vision_tokens(*size)), 1)
        for video in question.videos:
            count, size = self.shown.count_and_size(video)
            prompt = prompt.replace("<video>", _expanded(VIDEO, vision_tokens(*size, count)), 1)
        return prompt

    def pixels(self, question: Question) -> Pixels:
        """Open and process a question's media."""
        images = image_grid = videos = video_grid = None
        seconds: list[float] = []
        if question.images:
            made = self.processor.image_processor(self.shown.images(question), return_tensors="pt")
            images, image_grid = made["pixel_values"], made["image_grid_thw"]
        if question.videos:
            clips = self.shown.clips(question)
            made = self.processor.video_processor(videos=[clip.pictures for clip in clips], return_tensors="pt")
            videos, video_grid = made["pixel_values_videos"], made["video_grid_thw"]
            seconds = [TEMPORAL / clip.fps for clip in clips]
        return Pixels(images, image_grid, videos, video_grid, seconds)


def _expanded(token: str, tokens: int) -> str:
    return START + token * (tokens - 2) + END


def features(model: Any, looks: Sequence[Pixels]) -> dict[str, torch.Tensor]:
    """Embeddings of all pictures ("images") and clips ("videos") of a batch, in order: (tokens, hidden size)."""
    found = {}
    for name, embed in (("images", model.model.get_image_features), ("videos", model.model.get_video_features)):
        grid = "image_grid" if name == "images" else "video_grid"
        pixels = [getattr(look, name) for look in looks if getattr(look, name) is not None]
        if pixels:
            grids = torch.cat([getattr(look, grid) for look in looks if getattr(look, grid) is not None])
            device = next(model.parameters()).device
            found[name] = torch.cat(embed(torch.cat(pixels).to(device), grids.to(device)).pooler_output)
    return found


def positions(model: Any, ids: list[int], look: Pixels) -> torch.Tensor:
    """A row's positions in time, height and width, (3, tokens), as in training (see mmafflm/positions.py)."""
    row = torch.tensor([ids])
    kinds = torch.zeros_like(row)
    kinds[row == model.config.image_token_id] = 1
    kinds[row == model.config.video_token_id] = 2
    found: torch.Tensor = rope_index(
        model.model,
        row,
        kinds,
        image_grid_thw=look.image_grid,
        video_grid_thw=look.video_grid,
        second_per_grid_ts=look.seconds or None,
        attention_mask=torch.ones_like(row),
    )[0]
    return found[:, 0]
