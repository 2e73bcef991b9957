"""Training and what follows it: a run, its export, experiments, a server for a checkpoint.

A recipe and DATA come in, a RUN folder goes out.
"""
