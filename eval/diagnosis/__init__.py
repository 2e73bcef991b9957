"""Look for the failures that the paper names in a run: each check has a value, an interval and a threshold."""
