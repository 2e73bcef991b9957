"""Qwen3-VL: patches of 16 pixels, DeepStack, and times between the frames of a clip."""
