"""Find training rows that repeat a test row, exactly or nearly, before anything is written, and report them."""
