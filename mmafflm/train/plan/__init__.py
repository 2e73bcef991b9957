"""Turn a recipe, DATA and the machine into LLaMA-Factory's complete config, or explain why that is impossible.

The modules check keys and values, count tokens, and estimate memory, disk and hours.
"""
