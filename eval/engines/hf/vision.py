"""A question's pictures and clips as input for the model: their placeholder tokens in the prompt, and their pixels.

All results must equal those of LLaMA-Factory for the same record in training; tests compare both.
mmafflm/media/budget.py limits the size of a picture; the model family (mmafflm/families) sets its placeholder tokens.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from eval.engines import Question
from eval.engines.media import MediaReader
from mmafflm.errors import Fault
from mmafflm.families.base import Family
from mmafflm.media.budget import Budget


class Pixels(NamedTuple):
    """The processor's output for one question; the tensors of pictures or clips are None if it has none of them.

    images, videos: (patches, patch size); *_grid: (pictures or clips, 3); seconds: for each clip, the duration of one
    time step of its grid.
    """

    images: torch.Tensor | None
    image_grid: torch.Tensor | None
    videos: torch.Tensor | None
    video_grid: torch.Tensor | None
    seconds: list[float]


class Vision:
    """The processor of a checkpoint with one media budget."""

    def __init__(self, processor: Any, root: Path, budget: Budget, family: Family) -> None:
        """Raises Fault for a family that does not define its positions."""
        if family.positions is None:
            raise Fault(f"{family.name}: --engine hf cannot compute its positions. Use --engine vllm or openai.")
        self.processor, self.family, self.of_row = processor, family, family.positions
        self.shown = MediaReader(root, budget.under(family.media))

    def text(self, question: Question) -> str:
        """The prompt with the placeholder tokens of its media instead of <image> and <video>."""
        prompt = question.prompt
        for image in question.images:
            prompt = prompt.replace("<image>", self.family.media.text(self.shown.size_of_image(image)), 1)
        for video in question.videos:
            prompt = prompt.replace("<video>", self.family.media.text(self.shown.size_of_clip(video)), 1)
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
            seconds = [self.family.media.frames_a_step / clip.fps for clip in clips]
        return Pixels(images, image_grid, videos, video_grid, seconds)

    def positions(self, model: Any, ids: list[int], look: Pixels) -> torch.Tensor:
        """A row's positions in time, height and width, (3, tokens), as in training."""
        found: torch.Tensor = self.of_row(model, ids, look.image_grid, look.video_grid, look.seconds or None)
        return found


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
