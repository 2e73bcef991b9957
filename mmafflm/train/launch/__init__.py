"""Start and stop LLaMA-Factory.

This includes the environment of its processes, their log, the reporters, and the changes that we make to modules of
other packages when these processes start.
"""
