"""Find and report training rows that repeat a test row, exactly or nearly. A build does this before it writes rows."""
