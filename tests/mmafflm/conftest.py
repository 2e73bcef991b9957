"""Fixtures for the tests of training and of plans."""

from pathlib import Path

import pytest

from mmafflm.dataset import Dataset
from mmafflm.train.plan.plan import Plan, plan
from tests.look_alike import look_alike
from tests.mmafflm.recipes import recipe_with
from tests.mmafflm.tiny_data import MIXED, make_data, text_records
from tests.shared import made_once


@pytest.fixture(scope="session")
def base(nano: Path) -> str:
    """nano, as a value for --base; skips the test if LLaMA-Factory is not installed."""
    pytest.importorskip("llamafactory")
    return str(nano)


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A base that is good only for plans."""
    return look_alike(tmp_path_factory.mktemp("models") / "bare")


@pytest.fixture(scope="session")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A mix of 1,300 reviews, for plans; tests must not change it."""
    return make_data(tmp_path_factory.mktemp("reviews"), text_records(1300))


@pytest.fixture(scope="session")
def mixed(some_raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A third text, a third pictures, a third clips, shuffled, with their validation splits."""
    from data_build.build import build
    from data_build.config import load_config
    from mmafflm.benchmark.benchmark import choose_subsets

    names = ("onlineshopping", "EMOTIC_EC", "MELD_EC")
    config = load_config(None).model_copy(update={"mix": dict.fromkeys(names, MIXED)})
    subsets = choose_subsets(",".join(names))
    return Dataset.open(
        made_once(tmp_path_factory, "mixed", lambda out: build(some_raw, out, config, subsets, limit=60))
    )


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, mixed: Dataset, base: str) -> tuple[Path, Plan]:
    """A run of six steps of 8 on two ranks under ZeRO-3, as users start it; tests must not change it.

    Micro-batches have one row: in one step a rank has text, the other a picture or a clip. The checkpoint of step 4 is
    validated during the run.
    """
    from mmafflm.train.run import train

    def make(folder: Path) -> None:
        folder.mkdir()
        recipe = recipe_with(
            folder, deepspeed="deepspeed/zero3.json", global_batch=8, per_device_train_batch_size=1, logging_steps=1,
            save_steps=4, validate_every=4, validate_rows=3, include_num_input_tokens_seen="all",
        )  # fmt: skip
        train(recipe, mixed, folder / "run", gpus=2, base=base)

    folder = made_once(tmp_path_factory, "trained", make)
    return folder / "run", plan(folder / "recipe.yaml", mixed, gpus=2, base=base, out=folder / "run")
