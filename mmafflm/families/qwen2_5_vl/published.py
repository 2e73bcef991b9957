"""The parts of the published Qwen2.5-VL models' config.json that decide their sizes."""

from typing import Any


def _config(hidden: int, intermediate: int, layers: int, heads: int, groups: int, vocabulary: int) -> dict[str, Any]:
    text = {
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": groups,
        "vocab_size": vocabulary,
    }
    vision = {
        "depth": 32,
        "hidden_size": 1280,
        "intermediate_size": 3420,
        "num_heads": 16,
        "in_channels": 3,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "window_size": 112,
        "fullatt_block_indexes": [7, 15, 23, 31],
        "tokens_per_second": 2,
        "out_hidden_size": hidden,
    }
    return {"model_type": "qwen2_5_vl", "dtype": "bfloat16", "text_config": text, "vision_config": vision}


PUBLISHED = {
    "Qwen/Qwen2.5-VL-3B-Instruct": _config(2048, 11008, 36, 16, 2, 151936) | {"tie_word_embeddings": True},
    "Qwen/Qwen2.5-VL-7B-Instruct": _config(3584, 18944, 28, 28, 4, 152064) | {"tie_word_embeddings": False},
}
