"""A Ray cluster, or a local Ray: tasks go in, results come out in the order of their arrival, whichever workers die.

`connect.py` starts or joins Ray, `crew.py` hands out the tasks. Nothing here writes results: the command does, alone.
"""
