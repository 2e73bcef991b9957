"""Build MMAFFIn: read raw corpora, write the folder DATA with records, media, the training mix and a manifest."""
