"""Asking a model every record: predict, likelihoods of candidates, ablations, several processes. DATA and an engine
come in, RUN/predictions go out.
"""
