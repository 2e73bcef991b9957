"""Qwen2.5-VL, the family of MMAFFLM's bases: family.py says what it is; the other files hold its arithmetic.

In comes a config.json or the size of a picture, out go parameters, tokens and positions.
"""
