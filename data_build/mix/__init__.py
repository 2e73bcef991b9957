"""Draw the training mix: rows of each subset, balanced over languages, shuffled across corpora."""
