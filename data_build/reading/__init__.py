"""Read raw files: archives, encodings and tables. corpus.py defines what a corpus's reader must provide: its rows."""
