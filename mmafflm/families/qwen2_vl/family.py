"""Qwen2-VL: Qwen2.5-VL with an older vision tower, and with one position for each time step of a clip.

Its tokens, template and media arithmetic are Qwen2.5-VL's. The sizes of the published models are from their config.json
on the hub. A test gets the same parameter counts from the architecture in transformers.
"""

from dataclasses import replace
from types import ModuleType
from typing import Any

from mmafflm.families.base import Architecture, Config, KeptNumbers, Mend
from mmafflm.families.qwen2_5_vl.architecture import Tower, build
from mmafflm.families.qwen2_5_vl.family import FAMILY as QWEN2_5_VL
from mmafflm.families.qwen2_5_vl.family import positions


def architecture(config: Config) -> Architecture:
    """The sizes of a config.json. Raises KeyError when one is missing."""
    vision = config["vision_config"]
    hidden, depth = int(vision["embed_dim"]), int(vision["depth"])
    wide = int(hidden * float(vision.get("mlp_ratio", 4)))
    attention, norms = 4 * hidden**2 + 4 * hidden, 4 * hidden
    tower = Tower(
        hidden=hidden,
        intermediate=wide,
        depth=depth,
        block=attention + 2 * hidden * wide + wide + hidden + norms,
        merger_norm=2 * hidden,
        # LayerNorms, qkv in one piece and attention's output; the MLP has no gate, only its input and GELU's output.
        kept=KeptNumbers(2 * hidden, 9 * hidden + 2 * wide),
        lora=6 * hidden + 2 * (hidden + wide),
    )
    return build(config, tower)


def _positions(model: Any, ids: list[int], image_grid: Any, clip_grid: Any, seconds: list[float] | None) -> Any:
    """The positions of a row. A time step is one position, however long it lasts."""
    return positions(model, ids, image_grid, clip_grid, None)


def _mend(module: ModuleType) -> None:
    """Make the text after a clip follow the whole clip: rope.py describes the fault of transformers from 5.3 on."""
    from mmafflm.families.qwen2_5_vl.rope import rope_index

    module.Qwen2VLModel.get_rope_index = rope_index


def _published(hidden: int, intermediate: int, layers: int, heads: int, groups: int, vocabulary: int) -> Config:
    return {
        "model_type": "qwen2_vl",
        "torch_dtype": "bfloat16",
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": groups,
        "vocab_size": vocabulary,
        "vision_config": {"depth": 32, "embed_dim": 1280, "mlp_ratio": 4, "num_heads": 16, "in_chans": 3,
                          "hidden_size": hidden, "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2},
    }  # fmt: skip


FAMILY = replace(
    QWEN2_5_VL,
    name="Qwen2-VL",
    model_types=("qwen2_vl",),
    architecture=architecture,
    published={
        "Qwen/Qwen2-VL-2B-Instruct": {**_published(1536, 8960, 28, 12, 2, 151936), "tie_word_embeddings": True},
        "Qwen/Qwen2-VL-7B-Instruct": {**_published(3584, 18944, 28, 28, 4, 152064), "tie_word_embeddings": False},
    },
    positions=_positions,
    mend=Mend("transformers.models.qwen2_vl.modeling_qwen2_vl", _mend),
    standin=None,
)
