"""Ask a model every record: predictions, likelihoods of candidates, ablations, several processes. DATA and an engine
come in, RUN/predictions goes out.
"""
