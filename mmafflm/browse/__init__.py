"""A local page over the records of a build: `mmaffin browse`, and with the answers of runs `mmaffben browse`."""
