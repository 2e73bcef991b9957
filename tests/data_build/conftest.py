"""The samples, and one build of them, for all tests of the build."""

from pathlib import Path

import pytest

from data_build.build import build
from data_build.config import Config, load_config
from data_build.samples import write_samples
from mmafflm.benchmark import choose_subsets


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
