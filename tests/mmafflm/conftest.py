"""A base model for the tests that train."""

import pytest


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    pytest.importorskip("llamafactory")
    from mmafflm.standin import make_standin

    folder = tmp_path_factory.mktemp("models") / "nano"
    make_standin("nano", folder)
    return str(folder)
