"""Tools that make the corpora of `mmaffin samples`: words, faces, clips and file formats."""
