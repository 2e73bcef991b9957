"""The base model of all tests that ask one or train one; and Ctrl-C as a terminal gives it to a command."""

import signal
from pathlib import Path

import pytest

# A runner in the background, or under nohup, ignores SIGINT, and every command that a test starts would inherit that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def nano(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of `mmafflm standin nano`, made once per process. A test that changes it must copy it first."""
    pytest.importorskip("torch", reason="torch belongs to the train tier")
    from mmafflm.standin.standin import make_standin

    folder = tmp_path_factory.mktemp("models") / "nano"
    make_standin("nano", folder)
    return folder
