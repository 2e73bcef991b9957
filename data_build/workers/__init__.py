"""Worker processes that open untrusted files. They have no network, may be killed, and end with the command that
started them.
"""
