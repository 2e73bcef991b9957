"""A local web page of a build's records: `mmaffin browse`, and with the answers of runs `mmaffben browse`."""
