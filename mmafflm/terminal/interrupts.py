"""Hold back Ctrl-C and SIGTERM until the program can be interrupted safely."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def first_interrupt_held() -> Iterator[Callable[[], None]]:
    """Hold back the first Ctrl-C or SIGTERM. The function that this yields then raises it as KeyboardInterrupt.

    Without this, polars raises its own KeyboardInterrupt for a signal, and Python raises another a moment later. The
    second would interrupt the `finally` block that stops the processes, before its first line. A second Ctrl-C or
    SIGTERM is raised at once.
    """
    held = False

    def hold(number: int, frame: object) -> None:
        nonlocal held
        if held:
            raise KeyboardInterrupt
        held = True

    def check() -> None:
        if held:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # only the main thread receives signals
        yield check
        return
    before = {sign: signal.signal(sign, hold) for sign in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield check
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler or signal.SIG_DFL)
