"""Reading and writing files safely: JSON and YAML from outside, paths that stay inside their folder, text that can be
stored, sentences for a full disk, and the hash of our own source.
"""
