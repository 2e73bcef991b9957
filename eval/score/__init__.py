"""From answers to figures: parsing, metrics, bootstrap intervals, readouts, averages. No network."""
