"""The RUN folder: its run.json, the chosen rows, predictions joined to records by id, the checkpoint that answered, and
whether files are up to date.
"""
