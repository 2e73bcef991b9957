"""Training and what follows it: a run, the export of a run, experiments, a server for a checkpoint. A recipe and DATA
come in, a RUN folder goes out.
"""
