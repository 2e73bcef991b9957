"""Build MMAFFIn and MMAFFBen: read raw corpora, write DATA with records, media, the training mix and a manifest."""
