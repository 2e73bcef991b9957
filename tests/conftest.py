"""The base model of all tests that ask or train a model."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def nano(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of `mmafflm standin nano`, made once per process. A test that changes it must copy it first."""
    pytest.importorskip("torch", reason="torch belongs to the train tier")
    from mmafflm.standin.standin import make_standin

    folder = tmp_path_factory.mktemp("models") / "nano"
    make_standin("nano", folder)
    return folder
