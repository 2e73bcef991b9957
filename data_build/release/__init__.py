"""The released MMAFFIn and MMAFFBen: read their JSON into our records (`mmaffin import`), write our records as JSON."""
