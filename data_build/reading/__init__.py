"""Read raw files: archives, encodings, tables, and what a corpus's reader must offer. The readers return rows."""
