"""From a recipe, DATA and the machine to LLaMA-Factory's complete config, or to a sentence that says why not.

Keys and values, lengths, memory, disk and hours.
"""
