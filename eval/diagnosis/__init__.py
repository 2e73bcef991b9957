"""The failures that the paper names, looked for in a run: each check has a value, an interval and a threshold."""
