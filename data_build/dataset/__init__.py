"""Describe a build: manifest, data card, statistics, origins, licences. Also write its rows as Parquet for `datasets`.

`mmaffin check` is here too; it compares the manifest with the files.
"""
