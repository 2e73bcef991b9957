"""A local web page of a build's records (`mmaffin browse`), or of runs' answers to them (`mmaffben browse`)."""
