"""What the three command lines share: faults as sentences, and the exit codes of docs/reference/data-format.md."""

import signal
import sys
from collections.abc import Callable
from typing import Any

import typer

from mmafflm.errors import Fault, UsageFault
from mmafflm.files.writing import refusal

STOPPED = 130  # Typer's exit code after Ctrl-C


def app(help_text: str) -> typer.Typer:
    """A Typer application with plain help texts, and without tracebacks full of local variables."""
    return typer.Typer(help=help_text, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def say(message: str) -> None:
    """Print progress or a note to standard error; standard output is for data."""
    print(message, file=sys.stderr, flush=True)


def run(typer_app: typer.Typer) -> None:
    """Run an application. Exit codes: 0 done, 1 fault in the data or the run, 2 wrong usage, 130 stopped by Ctrl-C."""
    # A scheduler's SIGTERM ends a run as Ctrl-C does, so that no child process outlives us.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(_code_of(typer_app))


def _code_of(call: Callable[[], Any]) -> int:
    try:
        call()
    except UsageFault as fault:
        say(f"error: {fault}")
        return 2
    except Fault as fault:
        say(f"error: {fault}")
        return 1
    except OSError as error:
        if (sentence := refusal(error)) is None:
            raise
        say(f"error: {sentence}")
        return 1
    except SystemExit as stop:
        if stop.code == STOPPED:
            again = "again with --resume" if sys.argv[1:2] == ["train"] else "again"
            say(f"stopped. Run the same command {again} to resume.")
        return stop.code if isinstance(stop.code, int) else int(bool(stop.code))
    return 0
