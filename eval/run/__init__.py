"""The RUN folder: run.json, the selected rows, the checkpoint, and predictions, which are joined to records by id.

up_to_date.py finds out whether the files of a run are up to date.
"""
