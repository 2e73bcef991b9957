"""Run tasks on a Ray cluster or a local Ray; results are returned as they arrive, even if workers die.

`connect.py` starts or joins Ray, `crew.py` hands out the tasks. Workers write no results; only the command does.
"""
