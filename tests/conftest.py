"""The base model of all tests that ask one or train one."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def nano(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `mmafflm standin nano` makes, once a process. A test that changes it copies it first."""
    pytest.importorskip("torch", reason="torch belongs to the train tier")
    from mmafflm.standin.standin import make_standin

    folder = tmp_path_factory.mktemp("models") / "nano"
    make_standin("nano", folder)
    return folder
