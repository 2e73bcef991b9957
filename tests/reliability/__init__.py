"""The figures of docs/notebook/reliability.md: commands that are killed, files that are mutated, servers that fail."""
