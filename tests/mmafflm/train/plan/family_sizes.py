"""config.json of small models of the families beside Qwen2.5-VL, for measurements of memory."""

from typing import Any

TEXT = {
    "hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 64, "vocab_size": 4096, "max_position_embeddings": 4096,
    "tie_word_embeddings": True,
}  # fmt: skip
VISION = {"hidden_size": 128, "intermediate_size": 256}
LAYERS = {"num_hidden_layers": 2, "num_attention_heads": 4}
MROPE = {"rope_theta": 1e6, "rope_type": "default", "mrope_section": [12, 10, 10], "mrope_interleaved": True}

FAMILIES: dict[str, dict[str, Any]] = {
    "qwen3_vl": {
        "text_config": {**TEXT, "rope_parameters": MROPE},
        "vision_config": {**VISION, "depth": 2, "num_heads": 4, "out_hidden_size": 256, "patch_size": 16,
                          "num_position_embeddings": 2304, "deepstack_visual_indexes": [0]},
        "image_token_id": 12, "video_token_id": 13, "vision_start_token_id": 9, "vision_end_token_id": 10,
    },
    "internvl": {
        "text_config": {"model_type": "qwen2", **TEXT},
        "vision_config": {**VISION, **LAYERS, "image_size": [448, 448], "patch_size": [14, 14], "attention_bias": True},
        "image_token_id": 12,
    },
    "gemma3": {
        "text_config": {**TEXT, "sliding_window": 64},
        "vision_config": {**VISION, **LAYERS, "image_size": 448, "patch_size": 14, "vision_use_head": False},
        "image_token_index": 12, "boi_token_index": 9, "eoi_token_index": 10, "mm_tokens_per_image": 256,
    },
}  # fmt: skip
