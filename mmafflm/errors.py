"""The exceptions that a command prints as a sentence, without a traceback."""


class Fault(Exception):
    """The data or the run has a fault. The message names the file, the row and the fix; the exit code is 1."""


class UsageFault(Fault):
    """The command was called wrongly; the exit code is 2."""
