"""MMAFFBen is scored here: a checkpoint and DATA come in, a RUN folder with answers, scores and a report goes out."""
