"""Training and what follows it: a run, its export, experiments, and a server for a base model.

The input is a recipe and DATA, the output is a RUN folder.
"""
