"""Before a launch we check what W&B, SwanLab and Trackio need on this machine; and we store no key."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from mmafflm import cli
from mmafflm.dataset import Dataset
from mmafflm.errors import UsageFault
from mmafflm.train.launch import launch
from mmafflm.train.launch.reporters import environment, reporter_faults
from mmafflm.train.plan.plan import Plan, plan
from mmafflm.train.run import train
from tests.look_alike import look_alike
from tests.mmafflm.recipes import recipe_with
from tests.mmafflm.tiny_data import make_data, text_records

VARIABLES = ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_MODE", "WANDB_CONFIG_DIR", "NETRC",
             "SWANLAB_API_KEY", "SWANLAB_MODE", "SWANLAB_SAVE_DIR",
             "HF_TOKEN", "HF_HOME", "HF_TOKEN_PATH", "TRACKIO_SPACE_ID")  # fmt: skip


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    return make_data(tmp_path / "data", text_records(64))


@pytest.fixture
def planned(tmp_path: Path, data: Dataset, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Plan]:
    """Plans of recipes with some keys, on a machine with every package and without any login."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    base, real = look_alike(tmp_path / "base"), importlib.util.find_spec
    services = ("wandb", "swanlab", "trackio")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *package: real("json" if name in services else name, *package)
    )
    return lambda **keys: plan(recipe_with(tmp_path, **keys), data, gpus=1, base=base, out=tmp_path / "run")


@pytest.mark.parametrize(
    ("keys", "variable", "value", "file"),
    [
        ({"report_to": ["tensorboard", "wandb"]}, "WANDB_API_KEY", "k1e2y3", ".netrc"),
        ({"report_to": "wandb"}, "WANDB_MODE", "offline", ".config/wandb/settings"),
        ({"report_to": "swanlab"}, "SWANLAB_API_KEY", "k1e2y3", ".swanlab"),
        ({"use_swanlab": True}, "SWANLAB_MODE", "local", ".swanlab"),
        ({"report_to": "trackio", "trackio_space_id": "me/runs"}, "HF_TOKEN", "k1e2y3", ".cache/huggingface/token"),
    ],
)
def test_a_login_is_looked_for(
    keys: dict[str, object], variable: str, value: str, file: str, planned: Callable[..., Plan], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    made = planned(**keys)
    (fault,) = reporter_faults(made)
    assert "not logged in on this machine. Set " in fault
    assert reporter_faults(made, node_rank=1) == []  # only rank 0 logs in
    with monkeypatch.context() as patch:
        patch.setenv(variable, value)
        assert reporter_faults(made) == []
    (tmp_path / "home" / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "home" / file).write_text("")
    assert reporter_faults(made) == []


def test_what_stays_on_this_machine_needs_no_login(planned: Callable[..., Plan]) -> None:
    for keys in (
        {"report_to": "trackio"},
        {"use_swanlab": True, "swanlab_mode": "local"},
        {"report_to": "none"},
    ):
        assert reporter_faults(planned(**keys)) == []


def test_a_space_is_not_cut_off(planned: Callable[..., Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a base in a folder the trainer is cut off from the hub; but a Space is on the hub."""
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
    with pytest.raises(UsageFault, match=r"report_to wandb: not logged in on this machine\. Set WANDB_API_KEY"):
        train(made.recipe, data, tmp_path / "run", base=base)
    assert not (tmp_path / "run").exists()
    capsys.readouterr()
    cli.plan(made.recipe, data.path, gpus=1, base=base)
    said = capsys.readouterr()
    assert "On this machine, train would refuse: " in said.err and "- wandb" in said.out
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "report_to wandb: not installed. Run: pip install wandb" in reporter_faults(made, node_rank=1)[-1]

    monkeypatch.setenv("WANDB_API_KEY", "k1e2y3")
    env = environment(made, tmp_path / "run")
    assert env["TENSORBOARD_LOGGING_DIR"] == str(tmp_path / "run/tensorboard/trainer")
    assert env["WANDB_DIR"] == str(tmp_path / "run") and "k1e2y3" not in str(env)
    assert "k1e2y3" not in made.to_yaml()
