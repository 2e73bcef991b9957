"""The Python of vLLM's environment and the sample benchmark, for the tests that really run vLLM."""

import os
from pathlib import Path

import pytest

from mmafflm.dataset import Dataset
from tests.paths import ROOT

# vLLM in the process that asks for it: otherwise it starts two more, and each imports vLLM again
ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT), "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}


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
