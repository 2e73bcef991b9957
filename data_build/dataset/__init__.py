"""Describe a build: manifest, data card, statistics, origins, licences. `mmaffin check` is here too; it compares the
manifest with the files.
"""
