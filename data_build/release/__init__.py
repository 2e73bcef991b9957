"""The released MMAFFIn and MMAFFBen: their JSON into our records (`mmaffin import`), and our records into such JSON."""
