"""Qwen2.5-VL's sizes are read from a config.json in both of its forms."""

from mmafflm.families.qwen2_5_vl.architecture import from_config
from mmafflm.families.qwen2_5_vl.published import PUBLISHED


def test_a_flat_config_is_read_as_a_nested_one() -> None:
    """On the hub the text's keys are at the top level."""
    for nested in PUBLISHED.values():
        flat = {key: value for key, value in nested.items() if key != "text_config"} | nested["text_config"]
        assert from_config(flat) == from_config(nested)
