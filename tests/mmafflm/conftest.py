"""Fixtures for the tests of training and of plans."""

from pathlib import Path

import pytest

from mmafflm.dataset import Dataset
from tests.look_alike import look_alike
from tests.mmafflm.tiny_data import make_data, text_records


@pytest.fixture(scope="session")
def base(nano: Path) -> str:
    """nano, as a value for --base; skips the test if LLaMA-Factory is not installed."""
    pytest.importorskip("llamafactory")
    return str(nano)


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A base that is good only for plans."""
    return look_alike(tmp_path_factory.mktemp("models") / "bare")


@pytest.fixture(scope="session")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A mix of 1,300 reviews, for plans; tests must not change it."""
    return make_data(tmp_path_factory.mktemp("reviews"), text_records(1300))
