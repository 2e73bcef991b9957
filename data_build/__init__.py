"""MMAFFIn is built here: raw corpora come in, DATA goes out (records, media, the training mix, a manifest)."""
