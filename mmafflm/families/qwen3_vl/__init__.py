"""Qwen3-VL: patches of 16 pixels, DeepStack, and the times of a clip's frames in the prompt."""
