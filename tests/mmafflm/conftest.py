"""A base model for the tests that train."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def base(nano: Path) -> str:
    """nano, as --base takes it; skips where LLaMA-Factory is not installed."""
    pytest.importorskip("llamafactory")
    return str(nano)
