"""Small builds for the tests of the build."""

import shutil
from pathlib import Path

import pytest

from data_build.build import build
from data_build.config import Config, load_config
from data_build.samples import write_samples
from mmafflm.benchmark.benchmark import choose_subsets
from tests.shared import made_once


@pytest.fixture(scope="session")
def config() -> Config:
    return load_config(None)


@pytest.fixture(scope="session")
def two_texts(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    raw, subsets = tmp_path_factory.mktemp("two_texts"), choose_subsets("XED,semeval2018_english")

    def make(out: Path) -> None:
        write_samples(raw, only={"xed", "semeval2018"})
        build(raw, out, config, subsets, jobs=1, limit=30)

    return made_once(tmp_path_factory, "two_texts", make)


@pytest.fixture(scope="session")
def honest(some_raw: Path, config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small build of pictures and clips."""
    subsets = choose_subsets("FER2013,MELD_SP")
    return made_once(tmp_path_factory, "honest", lambda out: build(some_raw, out, config, subsets, jobs=1, limit=4))


@pytest.fixture
def data(two_texts: Path, tmp_path: Path) -> Path:
    """A copy of the small build that the test may change."""
    shutil.copytree(two_texts, tmp_path / "data")
    return tmp_path / "data"
