"""Training rows that repeat a test row, exactly or nearly, are found before anything is written, and reported."""
