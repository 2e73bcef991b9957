"""Raw files as they arrive: archives, encodings, tables, and what a corpus's reader must offer. Rows go out."""
