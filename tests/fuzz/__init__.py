"""Build mutated raw files: each is read or refused with a message, and no row is lost."""
