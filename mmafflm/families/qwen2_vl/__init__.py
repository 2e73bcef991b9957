"""Qwen2-VL: Qwen2.5-VL with an older vision tower and without seconds in its positions."""
