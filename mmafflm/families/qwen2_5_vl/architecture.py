"""The sizes of a Qwen2.5-VL model from its config.json, without torch: parameters, and what layers keep for gradients.

A test builds Qwen2.5-VL-3B-Instruct and -7B-Instruct on torch's meta device. They have the published numbers of
parameters, 3,754,622,976 and 8,292,166,656, and this module computes the same numbers.
"""

from typing import Any, NamedTuple

from mmafflm.families.base import Architecture, Config, KeptNumbers
from mmafflm.families.decoder import decoder, dtype_of
from mmafflm.families.qwen2_5_vl.media import MERGE, PATCH, TEMPORAL

VISION_KEYS = ("hidden_size", "intermediate_size", "depth")


class Tower(NamedTuple):
    """A vision tower: its sizes, and the parameters, kept numbers and LoRA parameters of one block."""

    hidden: int
    intermediate: int
    depth: int
    block: int  # parameters of one block
    merger_norm: int  # parameters; the norm belongs to the projector
    kept: KeptNumbers  # for each patch, in one block
    lora: int  # LoRA parameters of one block for each rank: inputs plus outputs of its linear layers


def from_config(config: Config) -> Architecture:
    """The sizes that a config.json describes. Raises KeyError when one is missing."""
    return build(config, _tower(config["vision_config"]))


def _tower(vision: Config) -> Tower:
    """A tower with RMSNorms, qkv and proj with biases, and a gated MLP with biases."""
    hidden, wide, depth = (int(vision[key]) for key in VISION_KEYS)
    attention, norms = 4 * hidden**2 + 4 * hidden, 2 * hidden
    return Tower(
        hidden=hidden,
        intermediate=wide,
        depth=depth,
        block=attention + 3 * hidden * wide + 2 * wide + hidden + norms,
        merger_norm=hidden,
        # As in a decoder layer (decoder.py), but qkv is one tensor and the windows are put together again.
        kept=KeptNumbers(2 * hidden, 11 * hidden + 4 * wide),
        lora=6 * hidden + 3 * (hidden + wide),
    )


def build(config: Config, tower: Tower) -> Architecture:
    """A Qwen2 decoder behind a tower whose merger makes one token of four patches.

    The config may be flat, as on the hub, or nested, as transformers 5 writes it. Sizes in
    `text_config` win over flat keys.
    """
    text, merged = decoder(config, biases=True), tower.hidden * MERGE**2
    patch_values = _patch_values(config["vision_config"])
    return Architecture(
        **text.fields(),
        vision=patch_values * tower.hidden + tower.depth * tower.block,
        projector=tower.merger_norm + merged**2 + merged + merged * text.hidden + text.hidden,
        vision_hidden=tower.hidden,
        vision_intermediate=tower.intermediate,
        depth=tower.depth,
        patch_values=patch_values,
        patches_a_token=MERGE**2,
        vision_block=tower.kept,
        merging=KeptNumbers(
            tower.hidden, 5 * tower.hidden
        ),  # the norm; then the MLP of four patches, before and after GELU
        lora_vision=tower.depth * tower.lora,
        dtype=dtype_of(config),
    )


def _patch_values(vision: Any) -> int:
    """Numbers in one patch. `in_chans` is the hub's older name of `in_channels`."""
    channels = int(vision.get("in_channels", vision.get("in_chans", 3)))
    side, frames = int(vision.get("patch_size", PATCH)), int(vision.get("temporal_patch_size", TEMPORAL))
    return channels * frames * side**2
