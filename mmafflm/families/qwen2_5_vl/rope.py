"""Where a prompt's tokens stand in time, height and width, as Qwen2.5-VL learned it: text follows all of a clip.

transformers from 5.3 on, and so the 5.6 that LLaMA-Factory 0.9.5 takes at most, goes on behind a clip's height and
width alone (huggingface/transformers#45381 shows the positions of 5.2 and later). Two frames, a second of ours, take
two positions in time, and a frame is about six tokens wide: from 7 frames on the text behind a clip begins inside its
time. An answer that is generated goes on behind the clip's end where that is further, and so not where it was learned.
Qwen's own code, transformers up to 5.2 and vLLM go on behind the highest position of all, and so does this. Nor are
the seconds of a step cut to whole ones before they are multiplied (huggingface/transformers#48669).

The engine hf asks with these positions, and `mmafflm train` puts them into LLaMA-Factory's processes (mmafflm/startup).
Qwen2-VL's are the same, but a step in time of a clip is one position, however long it lasts.
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
    """In place of Qwen2_5_VLModel.get_rope_index, self being the model; the names are transformers'.

    Returns the positions, (3, rows, tokens), 0 where attention_mask is; and (rows, 1): what to add to the number of a
    row's tokens for the position of the next one. mm_token_type_ids: TEXT, IMAGE or VIDEO of each token.
    second_per_grid_ts: how long one step in time of each clip's grid lasts; 1 without.
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
    """A row's positions in time, height and width, (3, tokens), as in training. For the names see rope_index."""
    row = torch.tensor([ids])
    kinds = torch.full_like(row, TEXT)
    kinds[row == model.config.image_token_id] = IMAGE
    kinds[row == model.config.video_token_id] = VIDEO
    return rope_index(model.model, row, kinds, image_grid, clip_grid, seconds, torch.ones_like(row))[0][:, 0]


def _each(grids: torch.Tensor | None) -> Any:
    return iter([] if grids is None else grids.tolist())


def _in_grid(grid: list[int], merged: int, step: float) -> torch.Tensor:
    """(3, tokens) of a picture or clip of (time, height, width) patches; a step in time is `step` positions."""
    time, height, width = grid[0], grid[1] // merged, grid[2] // merged
    return torch.stack([
        (torch.arange(time, dtype=torch.float64) * step).long().repeat_interleave(height * width),
        torch.arange(height).repeat_interleave(width).repeat(time),
        torch.arange(width).repeat(time * height),
    ])  # fmt: skip
