"""Reading and writing files safely.

This package reads untrusted JSON and YAML, keeps paths inside their folder, makes text storable, turns write errors
into sentences, and hashes our own source.
"""
