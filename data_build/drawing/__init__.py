"""What the made-up corpora of `mmaffin samples` are drawn with: words, faces, clips and file formats."""
