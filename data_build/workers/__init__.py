"""Worker processes that open files from outside: they have no network, may be killed, and end with the command that
started them.
"""
