"""Add training and validation rows in more languages: a stage that extends a finished build and replaces nothing."""

ENGINES = ("apertium", "nllb", "openai")
ROUND_TRIP = 200  # rows of a pair that are translated back; the interval then reaches some three points either way
