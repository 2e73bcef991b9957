"""Generate a model's answers: predictions, likelihoods of candidates, ablations, several processes. The code reads DATA
through an engine and writes RUN/predictions.
"""
