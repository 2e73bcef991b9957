"""Watch a run while it trains: progress, curves, validation, divergence and hangs.

The input is the run's log files. The output is lines on the terminal and files in RUN.
"""
