"""The samples and one build of them for all tests of the build, and a smaller build for the tests of translation."""

import shutil
from pathlib import Path

import pytest

from data_build.build import build
from data_build.config import Config, load_config
from data_build.samples import write_samples
from mmafflm.benchmark.benchmark import choose_subsets


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("samples") / "raw"
    write_samples(out)
    return out


@pytest.fixture(scope="session")
def config() -> Config:
    return load_config(None)


@pytest.fixture(scope="session")
def built(raw: Path, config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "data"
    assert build(raw, out, config, choose_subsets(None), jobs=1)
    return out


@pytest.fixture(scope="session")
def two_texts(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two_texts")
    write_samples(folder / "raw", only={"xed", "semeval2018"})
    assert build(folder / "raw", folder / "data", config, choose_subsets("XED,semeval2018_english"), jobs=1, limit=30)
    return folder / "data"


@pytest.fixture(scope="session")
def honest(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small build of pictures and clips."""
    folder = tmp_path_factory.mktemp("honest")
    write_samples(folder / "raw", only={"fer2013", "meld"})
    assert build(folder / "raw", folder / "data", config, choose_subsets("FER2013,MELD_SP"), jobs=1, limit=4)
    return folder / "data"


@pytest.fixture
def data(two_texts: Path, tmp_path: Path) -> Path:
    """A copy of the small build that the test may change."""
    shutil.copytree(two_texts, tmp_path / "data")
    return tmp_path / "data"
