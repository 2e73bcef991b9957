"""Describe a build: manifest, data card, statistics, origins, licences; and write its rows once more for `datasets`.

`mmaffin check` is here too; it compares the manifest with the files.
"""
