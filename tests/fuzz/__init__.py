"""Raw files with mutations, through the build: every one is read or refused in a sentence, and no row is lost."""
