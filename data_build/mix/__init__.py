"""The training mix: which rows of which subset, balanced over languages, shuffled across corpora."""
