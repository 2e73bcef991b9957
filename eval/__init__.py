"""Score checkpoints on MMAFFBen: a checkpoint and DATA come in, a RUN folder with answers and scores goes out."""
