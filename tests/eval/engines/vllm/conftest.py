"""The Python of vLLM's environment and the sample benchmark, for the tests that really run vLLM."""

import os
from pathlib import Path

import pytest

from mmafflm.dataset import Dataset
from tests.eval.engines.vllm.one_start import ask_all
from tests.paths import ROOT
from tests.shared import made_once


@pytest.fixture(scope="session")
def python() -> str:
    """.venv-vllm here (make setup-vllm), or the Python named by VLLM_PYTHON."""
    named = os.environ.get("VLLM_PYTHON")
    found = Path(named or ROOT / ".venv-vllm/bin/python").absolute()
    if named is None and not found.exists():
        pytest.skip("no .venv-vllm here, so vLLM is not run: make setup-vllm, or VLLM_PYTHON=its/bin/python")
    assert found.exists(), f"VLLM_PYTHON {found} is not there"
    return str(found)


@pytest.fixture(scope="session")
def data(built: Path) -> Dataset:
    """The sample benchmark."""
    return Dataset.open(built)


@pytest.fixture(scope="session")
def vllm_asked(python: str, looking: Path, nano: Path, data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with what vLLM answered, see one_start.py; tests must not change it."""

    def make(folder: Path) -> None:
        folder.mkdir()
        ask_all(python, looking, nano, data, folder)

    return made_once(tmp_path_factory, "vllm", make)
