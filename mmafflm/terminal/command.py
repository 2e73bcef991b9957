"""What the three commands share: faults as sentences, and the exit codes (docs/reference/data-format.md)."""

import signal
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from tempfile import gettempdir
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

import mmafflm
from mmafflm.errors import Fault, UsageFault
from mmafflm.files.writing import free_bytes, refusal

STOPPED = 130  # Typer's exit code after Ctrl-C
Verb = TypeVar("Verb", bound=Callable[..., None])


class _Command(TyperCommand):
    """A verb whose help shows a flag without `<bool>` behind it."""

    def get_params(self, ctx: Any) -> Any:
        return _switches(super().get_params(ctx))


class _Group(TyperGroup):
    """The top-level command, whose help shows a flag in the same way."""

    def get_params(self, ctx: Any) -> Any:
        return _switches(super().get_params(ctx))


def _switches(params: Any) -> Any:
    for param in params:
        if getattr(param, "is_flag", False):
            param.metavar = ""
    return params


class App(typer.Typer):
    """A Typer application with plain help texts, and without tracebacks full of local variables."""

    def __init__(self, help_text: str) -> None:
        super().__init__(help=help_text, no_args_is_help=True, pretty_exceptions_enable=False, cls=_Group,
                         context_settings={"help_option_names": ["-h", "--help"]})  # fmt: skip

        @self.callback()
        def options(
            version: bool = typer.Option(False, "--version", is_eager=True, callback=_version,
                                         help="Show the version and exit."),
        ) -> None:  # fmt: skip
            """Options of the command itself."""

    def verb(self, example: str, name: str | None = None) -> Callable[[Verb], Verb]:
        """Register a function as a verb. example: a whole command, shown at the end of the verb's help."""
        return self.command(name, cls=_Command, epilog=f"Example: {example}")


def _version(asked: bool) -> None:
    if asked:
        print(mmafflm.__version__)
        raise typer.Exit


def say(message: str) -> None:
    """Print progress or a note to standard error; standard output is for data."""
    print(message, file=sys.stderr, flush=True)


def run(typer_app: Callable[[], Any], resumed: Collection[str] = ()) -> None:
    """Run an application. Exit codes: 0 done, 1 fault in the data or the run, 2 wrong usage, 130 stopped by Ctrl-C.

    resumed: the verbs that continue interrupted work when they are run again. A verb that needs an option for this is
    given with it: "train --resume".
    """
    # A scheduler's SIGTERM ends a run as Ctrl-C does, so that no child process outlives us.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(_code_of(typer_app, resumed))


def _code_of(call: Callable[[], Any], resumed: Collection[str]) -> int:
    try:
        call()
    except UsageFault as fault:
        say(f"error: {fault}")
        return 2
    except Fault as fault:
        say(f"error: {fault}")
        return 1
    except OSError as error:
        if (sentence := refusal(error, None if error.filename else _full_folder())) is None:
            raise
        say(f"error: {sentence}")
        return 1
    except SystemExit as stop:
        if stop.code == STOPPED:
            say(_stopped(resumed))
        return stop.code if isinstance(stop.code, int) else int(bool(stop.code))
    return 0


def _stopped(resumed: Collection[str]) -> str:
    """The message after Ctrl-C: whether the verb that was stopped continues its work, and how."""
    for verb, *options in (one.split() for one in resumed):
        if sys.argv[1:2] == [verb]:
            return f"stopped. Run the same command again{' with ' + ' '.join(options) if options else ''} to resume."
    return "stopped."


def _full_folder() -> Path | None:
    """--out or the folder for temporary files, if less than 1 MB is free there: a write without a path failed in it."""
    named = [value for word, value in zip(sys.argv, sys.argv[1:], strict=False) if word == "--out"]
    named += [word.removeprefix("--out=") for word in sys.argv if word.startswith("--out=")]
    return next((path for path in map(Path, [*named, gettempdir()]) if free_bytes(path) < 1_000_000), None)
