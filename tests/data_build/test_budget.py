"""The build config alone sets the budget: its numbers reach the stored media, the manifest, plan and predict."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from data_build.build import build
from data_build.config import Config, load_config, shipped_budget
from data_build.dataset.check import check
from data_build.media.journal import read_journal
from data_build.media.media_index import read_index
from eval.run.checkpoint import budget_for
from mmafflm.benchmark.benchmark import choose_subsets
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault, UsageFault

SMALL = {"image_max_pixels": 1024, "video_max_pixels": 4096, "video_fps": 1.0, "video_maxlen": 2}


@pytest.fixture(scope="module")
def two(some_raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data/, with pictures and clips under the shipped budget, and small/, the same folder rebuilt under another."""
    folder = tmp_path_factory.mktemp("two")
    subsets, config = choose_subsets("FER2013,MELD_EC"), load_config(None)
    assert build(some_raw, folder / "data", config, subsets, jobs=1, limit=4)
    shutil.copytree(folder / "data", folder / "small")
    other = Config.model_validate(config.model_dump() | {"budget": SMALL})
    with pytest.raises(UsageFault, match=r"\(budget.image_max_pixels, budget.video_max_pixels, .*--replace"):
        build(some_raw, folder / "small", other, subsets, jobs=1, limit=4)
    assert build(some_raw, folder / "small", other, subsets, jobs=1, limit=4, replace=True)
    assert not build(some_raw, folder / "small", other, subsets, jobs=1, limit=4)
    return folder


def test_another_budget_opens_all_media_anew(two: Path) -> None:
    data, small = Dataset.open(two / "data"), Dataset.open(two / "small")
    assert data.budget == shipped_budget() == load_config(None).budget
    assert small.budget.to_json() == SMALL == small.manifest["config"]["budget"]
    assert len(read_journal(small.path)) == 2 * len(read_journal(data.path))
    assert {one.width * one.height <= 4096 for one in read_index(small.path).values()} == {True}
    assert max(one.width * one.height for one in read_index(data.path).values()) > 4096
    for record in small.records("MELD_EC", "test"):
        assert all(len(frames) <= 2 for frames in record.videos)
    assert check(data) == check(small) == []


def test_check_finds_media_of_another_budget(two: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(two / "data", tmp_path / "data"))
    manifest = json.loads((data / "manifest.json").read_text())
    manifest["config"]["budget"] = SMALL
    (data / "manifest.json").write_text(json.dumps(manifest))
    (fault,) = check(Dataset.open(data))
    assert "stored pictures and frames do not fit the manifest's budget; the first is media/" in fault
    del manifest["config"]["budget"]
    (data / "manifest.json").write_text(json.dumps(manifest))
    (fault,) = check(Dataset.open(data))
    assert "no budget under config" in fault and "Build the data again" in fault


def test_what_was_trained_is_what_is_tested(two: Path, tmp_path: Path) -> None:
    large, small = (Dataset.open(two / name).budget for name in ("data", "small"))
    (tmp_path / "run.json").write_text(json.dumps({"budget": large.to_json()}))
    assert budget_for(str(tmp_path), large, force=False) == large
    with pytest.raises(
        Fault, match=r"trained with image_max_pixels 262144, and the data were built with 1024.*--force"
    ):
        budget_for(str(tmp_path), small, force=False)
    assert budget_for(str(tmp_path), small, force=True) == small
    fewer = replace(large, image_max_pixels=4096)
    (tmp_path / "run.json").write_text(json.dumps({"budget": fewer.to_json()}))
    assert budget_for(str(tmp_path / "checkpoint-9"), large, force=False) == fewer
    (tmp_path / "run.json").write_text(json.dumps({"budget": large.to_json() | {"video_maxlen": 64}}))
    with pytest.raises(Fault, match=r"trained with video_maxlen 64, and the data were built with 128"):
        budget_for(str(tmp_path), large, force=False)


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ("{image_max_pixels: 3}", "budget.image_max_pixels: Input should be greater than or equal to 1024"),
        ("{image_max_pixels: 4096}", "budget.video_max_pixels: Field required"),
        ("{image_max_pixels: 4096, video_max_pixels: 4096, video_fps: 2, video_maxlen: 0}", "budget.video_maxlen: "),
        ("{image_max_pixels: 4096, video_max_pixels: 4096, video_fps: .nan, video_maxlen: 1}", "budget.video_fps: "),
        ("{image_max_pixels: 4096, video_max_pixels: 4096, video_fps: 2, video_maxlen: 1, fps: 1}", "budget.fps: "),
        ("paper", "budget: Input should be a dictionary"),
    ],
)
def test_a_wrong_budget_is_a_sentence(budget: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(f"seed: 1\nsplits: {{}}\nmix: {{}}\nbudget: {budget}\n")
    with pytest.raises(UsageFault) as caught:
        load_config(tmp_path / "config.yaml")
    assert said in str(caught.value)


def test_a_config_without_a_budget_takes_the_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("seed: 1\nsplits: {}\nmix: {}\n")
    assert load_config(tmp_path / "config.yaml").budget == shipped_budget()
