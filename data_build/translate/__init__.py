"""Training and validation rows in more languages: a stage that adds to a finished build and never replaces."""

ENGINES = ("apertium", "nllb", "openai")
