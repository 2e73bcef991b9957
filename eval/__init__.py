"""Score checkpoints on MMAFFBen: a checkpoint and DATA come in, a RUN folder with answers, scores and report goes out."""
