"""The exceptions that a command prints as a sentence, without a traceback."""

_LONGEST = 300  # characters of a library's message


class Fault(Exception):
    """The data or the run has a fault. The message says where it is and how to fix it; the exit code is 1."""


class UsageFault(Fault):
    """The command was called wrongly; the exit code is 2."""


def in_a_line(error: BaseException) -> str:
    """A library's error for a sentence: its type and its message on one line, shortened."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:_LONGEST]}".rstrip(": ")
