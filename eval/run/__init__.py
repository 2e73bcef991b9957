"""The RUN folder: its description, which rows were chosen, predictions joined to records by id, the checkpoint behind
them, and what is up to date.
"""
