"""Fixtures that several tests of evaluation share."""

import shutil
from pathlib import Path

import pytest

from tests.eval.report.reported import Made
from tests.shared import made_once


@pytest.fixture(scope="session")
def looking(nano: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float32 nano with enlarged weights, so that another picture or word gives another answer."""
    return made_once(tmp_path_factory, "looking", lambda folder: _enlarge(nano, folder))


def _enlarge(nano: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForImageTextToText

    shutil.copytree(nano, folder)
    model = AutoModelForImageTextToText.from_pretrained(folder)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(("proj.weight", "mlp.0.weight", "mlp.2.weight")):
                weight.mul_(4)
    model.save_pretrained(folder)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Two runs, their DATA and their report; tests must not change them."""
    return Made(tmp_path_factory.mktemp("report"))


@pytest.fixture
def copy(made: Made, tmp_path: Path) -> Path:
    """A copy of a run that the test may change."""
    return Path(shutil.copytree(made.runs[1], tmp_path / "copy"))
