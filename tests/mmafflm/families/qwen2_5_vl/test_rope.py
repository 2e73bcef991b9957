"""Positions of a prompt's tokens: as in transformers except after a clip, and the same in training and evaluation."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLModel

from mmafflm.families.qwen2_5_vl.rope import IMAGE, TEXT, VIDEO, rope_index
from mmafflm.train.launch.launch import STARTUP

PICTURE, CLIP, LONG = (1, 8, 10), (2, 8, 12), (60, 8, 12)


class Model:
    """The parts of a model that both functions read, with Qwen2.5-VL's numbers."""

    config = SimpleNamespace(vision_config=SimpleNamespace(spatial_merge_size=2, tokens_per_second=2))
    get_vision_position_ids = Qwen2_5_VLModel.get_vision_position_ids


def kinds_of(*parts: int | tuple[int, int, int]) -> torch.Tensor:
    """A row with so many text tokens, pictures (1 step in time) and clips."""
    sizes = [(TEXT, part) if isinstance(part, int) else (IMAGE if part[0] == 1 else VIDEO, part) for part in parts]
    return torch.cat(
        [torch.full((one if isinstance(one, int) else one[0] * one[1] * one[2] // 4,), kind) for kind, one in sizes]
    )


def both(rows: list[tuple[Any, ...]], **more: Any) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Our positions and those of transformers, for rows padded on the left."""
    kinds = [kinds_of(*row) for row in rows]
    longest = max(map(len, kinds))
    padded = torch.stack([torch.cat([torch.zeros(longest - len(one), dtype=torch.long), one]) for one in kinds])
    real = torch.stack([torch.arange(longest) >= longest - len(one) for one in kinds]).float()
    media = [part for row in rows for part in row if not isinstance(part, int)]
    grids = {
        "image_grid_thw": [one for one in media if one[0] == 1],
        "video_grid_thw": [one for one in media if one[0] > 1],
    }
    given = {name: torch.tensor(grid) for name, grid in grids.items() if grid} | more
    return [
        of(Model(), padded, padded, attention_mask=real, **given) for of in (rope_index, Qwen2_5_VLModel.get_rope_index)
    ]


def test_pictures_short_clips_and_text_stand_where_transformers_puts_them() -> None:
    rows = [(9,), (3, PICTURE, 5), (1, PICTURE, 2, CLIP, 4, PICTURE, 1), (2, CLIP, 30)]
    ours, theirs = both(rows, second_per_grid_ts=[1.0, 1.0])
    assert torch.equal(ours[0], theirs[0]) and torch.equal(ours[1], theirs[1])
    assert torch.equal(*(one[0] for one in both([(4, CLIP, 3)])))  # a step lasts a second by default


def test_what_follows_a_clip_follows_all_of_it() -> None:
    """The numbers of transformers 5.2, from huggingface/transformers#45381."""
    clip = (84, 24, 32)
    (ours, ahead), (theirs, _) = both([(15, clip, 10)], second_per_grid_ts=[2.0])
    time, height, width = ours[:, 0, 15:-10]
    assert (int(time[0]), int(time[-1]), int(height.max()), int(width.max())) == (15, 347, 26, 30)
    assert ours[:, 0, -10:].tolist() == [list(range(348, 358))] * 3
    assert int(ahead) == 358 - 25 - 84 * 12 * 16
    assert torch.equal(ours[:, 0, :-10], theirs[:, 0, :-10]), "up to there transformers agrees"
    assert int(theirs[0, 0, -10]) == 31, "transformers is mended: rope_index can go"


def test_seconds_are_not_cut_to_whole_ones() -> None:
    (ours, _), _ = both([(0, (5, 2, 2), 1)], second_per_grid_ts=[0.75])
    assert ours[0, 0].tolist() == [0, 1, 3, 4, 6, 7]


@pytest.mark.parametrize("clip", [CLIP, LONG])
def test_an_answer_goes_on_where_it_was_learned(clip: tuple[int, int, int]) -> None:
    (whole, _), _ = both([(3, clip, 8)])
    (asked, ahead), _ = both([(3, clip, 5)])
    assert torch.equal(whole[:, :, : asked.shape[2]], asked)
    assert whole[0, 0, -3:].tolist() == [asked.shape[2] + int(ahead) + step for step in range(3)]


def test_every_python_of_a_training_run_begins_mended(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.of_this_machine = True\n")
    code = (
        "import sys; from transformers import Qwen2_5_VLForConditionalGeneration as Model\n"
        "print(Model.__module__, sys.modules[Model.__module__].Qwen2_5_VLModel.get_rope_index.__module__)\n"
        "print(sys.of_this_machine)"
    )
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(STARTUP), str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split()[-2:] == ["mmafflm.families.qwen2_5_vl.rope", "True"]
