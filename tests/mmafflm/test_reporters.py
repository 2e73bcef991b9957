"""What W&B, SwanLab and Trackio need on this machine is looked for before anything is launched; and no key is kept."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from mmafflm import cli, launch
from mmafflm.dataset import Dataset
from mmafflm.errors import UsageFault
from mmafflm.recipe import Plan, plan
from mmafflm.reporters import environment, reporter_faults
from mmafflm.train import train
from tests.look_alike import look_alike
from tests.mmafflm.recipes import recipe_with
from tests.mmafflm.tiny_data import make_data, text_records


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    return make_data(tmp_path / "data", text_records(64))


@pytest.fixture
def planned(tmp_path: Path, data: Dataset, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Plan]:
    """Plans of recipes with some keys, where no service is installed."""
    monkeypatch.delenv("TRACKIO_SPACE_ID", raising=False)
    base, real = look_alike(tmp_path / "base"), importlib.util.find_spec
    services = ("wandb", "swanlab", "trackio")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *package: None if name in services else real(name, *package)
    )
    return lambda **keys: plan(recipe_with(tmp_path, **keys), data, gpus=1, base=base, out=tmp_path / "run")


@pytest.mark.parametrize(
    ("keys", "missing"),
    [
        ({"report_to": ["tensorboard", "wandb"]}, ["wandb"]),
        ({"report_to": "trackio"}, ["trackio"]),
        ({"use_swanlab": True}, ["swanlab"]),
        ({"report_to": "none"}, []),
    ],
)
def test_a_package_is_looked_for(keys: dict[str, object], missing: list[str], planned: Callable[..., Plan]) -> None:
    found = [fault.partition("report_to ")[2] for fault in reporter_faults(planned(**keys))]
    assert found == [f"{name}: not installed. Run: pip install {name}" for name in missing]


def test_a_space_is_not_cut_off(planned: Callable[..., Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A base in a folder needs no hub, and then the trainer asks none; a Space is on the hub."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    for keys, cut_off in (({"trackio_space_id": "me/runs"}, False), ({}, True)):
        env = launch.environment(planned(report_to="trackio", **keys), tmp_path, 0, None)
        assert ("HF_HUB_OFFLINE" in env) == cut_off


def test_train_refuses_what_plan_says_and_keeps_no_key(
    planned: Callable[..., Plan], data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    made = planned(report_to=["tensorboard", "wandb"])
    base = str(tmp_path / "base")
    with pytest.raises(UsageFault, match=r"report_to wandb: not installed\. Run: pip install wandb"):
        train(made.recipe, data, tmp_path / "run", base=base)
    assert not (tmp_path / "run").exists()
    capsys.readouterr()
    cli.plan(made.recipe, data.path, gpus=1, base=base)
    said = capsys.readouterr()
    assert "Here train would refuse: " in said.err and "- wandb" in said.out

    monkeypatch.setenv("WANDB_API_KEY", "k1e2y3")
    env = environment(made, tmp_path / "run")
    assert env["TENSORBOARD_LOGGING_DIR"] == str(tmp_path / "run/tensorboard/trainer")
    assert env["WANDB_DIR"] == str(tmp_path / "run") and "k1e2y3" not in str(env)
    assert "k1e2y3" not in made.to_yaml()
