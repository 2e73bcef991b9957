"""Add translated training and validation rows to a finished build. The original rows do not change."""

ENGINES = ("apertium", "nllb", "openai")
ROUND_TRIP = 200  # rows of a pair that are translated back; chrF's interval then reaches some three points either way
