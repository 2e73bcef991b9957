"""Reading and writing files safely.

Untrusted JSON and YAML, paths that stay inside their folder, text that can be stored, sentences for a full disk, and
the hash of our own source.
"""
