"""A prompt's positions in time, height and width, as Qwen2.5-VL learned them: text comes after the whole clip.

After a clip, transformers from 5.3 on continues from the clip's height and width only, not its time
(huggingface/transformers#45381 shows the positions of 5.2 and later). The newest version that LLaMA-Factory 0.9.5
accepts, 5.6, has this fault. Two of our frames last one second and use two positions in time, and a frame is about six
tokens wide. So from 7 frames on, the text after a clip begins at positions inside the clip's time. In generation, the
answer continues after the end of the clip if that is further, so its positions differ from those in training. Qwen's
own code, transformers up to 5.2, vLLM and this module continue after the highest position in any dimension. This module
also does not round the seconds of a time step down before it multiplies them (huggingface/transformers#48669).

The engine hf uses these positions, and `mmafflm train` puts them into LLaMA-Factory's processes
(mmafflm/train/launch/startup/sitecustomize.py). Qwen2-VL's positions are the same, but each time step of a clip is one
position, however long it lasts.
"""

from itertools import groupby, repeat
from typing import Any

import torch

TEXT, IMAGE, VIDEO = 0, 1, 2


def rope_index(
    self: Any,
    input_ids: torch.Tensor,
    mm_token_type_ids: torch.Tensor,
    image_grid_thw: torch.Tensor | None = None,
    video_grid_thw: torch.Tensor | None = None,
    second_per_grid_ts: Any = None,
    attention_mask: torch.Tensor | None = None,
    **_: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Replaces Qwen2_5_VLModel.get_rope_index; self is the model, and the names are those of transformers.

    Returns the positions, (3, rows, tokens), 0 where attention_mask is 0; and (rows, 1): the number to add to a row's
    token count to get the position of the next token. mm_token_type_ids: TEXT, IMAGE or VIDEO of each token.
    second_per_grid_ts: the seconds of one time step of each clip's grid; None: 1 second.
    """
    vision = self.config.vision_config
    grids = {IMAGE: _each(image_grid_thw), VIDEO: _each(video_grid_thw)}
    seconds = repeat(1.0) if second_per_grid_ts is None else iter(second_per_grid_ts)
    found = torch.zeros(3, *input_ids.shape, dtype=input_ids.dtype, device=input_ids.device)
    ahead = []
    for row, kinds in enumerate(mm_token_type_ids):
        kept = torch.ones_like(kinds, dtype=torch.bool) if attention_mask is None else attention_mask[row].bool()
        parts, start = list[torch.Tensor](), 0
        for kind, tokens in groupby(kinds[kept].tolist()):
            if kind == TEXT:
                part = torch.arange(len(list(tokens))).expand(3, -1)
            else:
                step = getattr(vision, "tokens_per_second", 1) * float(next(seconds)) if kind == VIDEO else 0.0
                part = _in_grid(next(grids[kind]), vision.spatial_merge_size, step)
            parts.append(part + start)
            start = int(parts[-1].max()) + 1
        found[:, row, kept] = torch.cat(parts, 1).to(found)
        ahead.append(start - int(kept.sum()))
    return found, torch.tensor(ahead, device=input_ids.device)[:, None]


def positions(
    model: Any,
    ids: list[int],
    image_grid: torch.Tensor | None,
    clip_grid: torch.Tensor | None,
    seconds: list[float] | None,
) -> torch.Tensor:
    """A row's positions in time, height and width, (3, tokens), as in training. rope_index explains the names."""
    row = torch.tensor([ids])
    kinds = torch.full_like(row, TEXT)
    kinds[row == model.config.image_token_id] = IMAGE
    kinds[row == model.config.video_token_id] = VIDEO
    return rope_index(model.model, row, kinds, image_grid, clip_grid, seconds, torch.ones_like(row))[0][:, 0]


def _each(grids: torch.Tensor | None) -> Any:
    return iter([] if grids is None else grids.tolist())


def _in_grid(grid: list[int], merged: int, step: float) -> torch.Tensor:
    """Positions, (3, tokens), of a picture or clip of (time, height, width) patches. step: positions per time step."""
    time, height, width = grid[0], grid[1] // merged, grid[2] // merged
    return torch.stack([
        (torch.arange(time, dtype=torch.float64) * step).long().repeat_interleave(height * width),
        torch.arange(height).repeat_interleave(width).repeat(time),
        torch.arange(width).repeat(time * height),
    ])  # fmt: skip
