"""While a run trains: progress, curves, validation answers, divergence and standstill.

The run's log files come in, lines on the terminal and files in RUN go out.
"""
