"""A base given as a hub name: taken from the cache, checked on the hub, or refused before anything is launched."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import mmafflm.train.run as train_module
from mmafflm.checkpoints import INDEX
from mmafflm.errors import Fault
from mmafflm.hub import cached, require_hub_base
from mmafflm.train.run import train
from tests.mmafflm.recipes import RECIPES, recipe_with
from tests.mmafflm.tiny_data import make_data, text_records

pytest.importorskip("huggingface_hub")
NAME = "someone/some-model"


@pytest.fixture
def snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for NAME's files in an empty hub cache."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    folder = tmp_path / "models--someone--some-model"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs/main").write_text("abc")
    (folder / "snapshots/abc").mkdir(parents=True)
    return folder / "snapshots/abc"


def hub_that(monkeypatch: pytest.MonkeyPatch, raises: Exception) -> None:
    from huggingface_hub import HfApi

    def model_info(self: HfApi, name: str, timeout: float) -> None:
        raise raises

    monkeypatch.setattr(HfApi, "model_info", model_info)


def test_a_whole_model_in_the_cache_needs_no_hub(snapshot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub_that(monkeypatch, AssertionError("asked"))
    (snapshot / "config.json").write_text("{}")
    assert not cached(NAME)
    (snapshot / INDEX).write_text(json.dumps({"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}))
    (snapshot / "one.safetensors").write_text("")
    assert not cached(NAME)  # an interrupted download
    (snapshot / "two.safetensors").write_text("")
    require_hub_base(NAME)


def test_train_asks_before_it_makes_a_folder(snapshot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx

    hub_that(monkeypatch, httpx.ConnectError("no route"))
    data = make_data(tmp_path / "data", text_records(64))
    with pytest.raises(Fault, match=f"{NAME}: incomplete in the hub's cache"):
        train(recipe_with(tmp_path), data, tmp_path / "run", base=NAME)
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_had_is_refused(snapshot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx
    from huggingface_hub.errors import GatedRepoError, OfflineModeIsEnabled, RepositoryNotFoundError

    response = httpx.Response(404, request=httpx.Request("GET", "http://hub"))
    for error, said in (
        (RepositoryNotFoundError("404", response=response), "the hub has no such model"),
        (GatedRepoError("403", response=response), "accepted licence"),
        (httpx.ConnectError("no route"), r"cannot be reached \(ConnectError\)\. Download it"),
        (OfflineModeIsEnabled("offline"), r"cannot be reached \(OfflineModeIsEnabled\)"),
    ):
        hub_that(monkeypatch, error)
        with pytest.raises(Fault, match=f"{NAME}: .*{said}"):
            require_hub_base(NAME)
    monkeypatch.setenv("USE_MODELSCOPE_HUB", "1")
    require_hub_base(NAME)


def test_a_trained_run_says_of_which_commit_its_base_was(
    snapshot: Path, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a base that is not in the cache yet, as on a new cluster: LLaMA-Factory downloads it at its launch."""
    began: list[dict[str, Any]] = []

    def downloads(config: Path, out: Path, *launch: Any) -> int:
        began.append(json.loads((out / "run.json").read_text()))
        for file in Path(base).iterdir():
            shutil.copy(file, snapshot / file.name)
        return 0

    monkeypatch.setattr(train_module, "require_hub_base", lambda name: None)
    monkeypatch.setattr(train_module, "run", downloads)
    out = tmp_path / "run"
    train(RECIPES / "nano.yaml", make_data(tmp_path / "data", text_records(135)), out, base=NAME)
    ended = json.loads((out / "run.json").read_text())
    assert "base_commit" not in began[0] and not began[0]["finished"] and ended["finished"]
    assert (ended["base"], ended["base_commit"]) == (NAME, snapshot.name)
