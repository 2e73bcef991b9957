"""Training and validation rows in more languages: a stage that adds to a finished build and never replaces."""

ENGINES = ("apertium", "nllb", "openai")
ROUND_TRIP = 200  # rows of a pair that are translated back; the interval is then some three points wide
