"""Qwen2.5-VL, the family of MMAFFLM's base models: family.py defines it; the other files hold its arithmetic.

The input is a config.json or the size of a picture; the output is parameters, tokens and positions.
"""
