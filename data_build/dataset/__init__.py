"""What describes a build: manifest, data card, statistics, origins, licences; and `mmaffin check`, which compares it
with the files.
"""
