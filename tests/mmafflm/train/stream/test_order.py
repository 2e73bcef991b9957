"""The computed order of rows: that of datasets and accelerate themselves, and the layout of the rest is its inverse.

tests/mmafflm/train/stream/test_resume.py and test_train.py compare it with what LLaMA-Factory reads on several ranks.
"""

from typing import Any

import numpy as np
import pytest
import yaml

from mmafflm.dataset import Dataset
from mmafflm.train.plan.plan import Plan, plan
from mmafflm.train.stream.order import batches
from mmafflm.train.stream.resume import RESUMED, finish_from, laid_out, step_of, write_resumed
from mmafflm.train.stream.similar import training_order
from tests.mmafflm.recipes import recipe_with

# rows, ranks, micro-batch, workers, buffer, steps, accumulation
CASES = [
    (47, 1, 2, 3, 7, 6, 1),
    (47, 2, 2, 4, 7, 4, 2),
    (40, 2, 5, 1, 100, 4, 1),  # every rank reads all rows
    (1300, 1, 4, 2, 20, 300, 1),  # more rows than datasets draws places for at a time, in each shard... of 650 rows
    (2600, 1, 4, 1, 20, 600, 1),  # ... and in one shard, twice
]


def config_of(case: tuple[int, ...], **more: Any) -> dict[str, Any]:
    _, _, micro, workers, buffer, steps, accumulation = case
    return {
        "per_device_train_batch_size": micro, "dataloader_num_workers": workers, "buffer_size": buffer,
        "max_steps": steps, "gradient_accumulation_steps": accumulation, **more,
    }  # fmt: skip


@pytest.mark.parametrize("seed", [42, 7])
@pytest.mark.parametrize("case", CASES)
def test_the_order_is_that_of_datasets_and_accelerate(case: tuple[int, ...], seed: int) -> None:
    datasets = pytest.importorskip("datasets")
    from accelerate.data_loader import prepare_data_loader
    from torch.utils.data import DataLoader

    rows, ranks, micro, workers, buffer, steps, accumulation = case
    read = []
    for rank in range(ranks):
        stream = datasets.Dataset.from_dict({"row": range(rows)}).to_iterable_dataset(num_shards=workers)
        stream = stream.shuffle(seed=seed, buffer_size=buffer)
        # without processes: the workers of a DataLoader each take every worker-th of a rank's shards
        loader: Any = DataLoader(stream, batch_size=micro, num_workers=workers if workers > 1 else 0)
        batches_of_rank = iter(prepare_data_loader(loader, num_processes=ranks, process_index=rank,
                                                   put_on_device=False, dispatch_batches=False))  # fmt: skip
        read.append([next(batches_of_rank)["row"].tolist() for _ in range(steps * accumulation)])
    ours = batches(rows, config_of(case, seed=seed), ranks)
    assert ours.shape == (steps * accumulation, ranks, micro)
    assert ours.transpose(1, 0, 2).tolist() == read
    if seed == 42:
        assert np.array_equal(ours, batches(rows, config_of(case), ranks))  # transformers' default


@pytest.mark.parametrize("done", [0, 1, 2, 3])
@pytest.mark.parametrize("seed", [42, 7])
@pytest.mark.parametrize("case", CASES[:3])
def test_the_rest_is_laid_out_so_that_it_is_read_in_order(case: tuple[int, ...], seed: int, done: int) -> None:
    rows, ranks = case[:2]
    config = config_of(case, seed=seed)
    left = batches(rows, config, ranks)[done:]
    file = laid_out(left, config)
    again = config | {"buffer_size": 1, "max_steps": len(left), "gradient_accumulation_steps": 1}
    assert np.array_equal(file[batches(len(file), again, ranks)], left)
    assert left.size <= len(file) < left.size + case[2] * case[3]


@pytest.fixture
def planned(reviews: Dataset, bare: str, tmp_path: Any) -> Plan:
    """81 steps of two micro-batches on each of two ranks."""
    recipe = recipe_with(tmp_path, global_batch=16, per_device_train_batch_size=4, seed=11)
    return plan(recipe, reviews, gpus=2, base=bare, out=tmp_path / "run")


def test_a_resumed_run_reads_what_the_steps_before_it_left(planned: Plan, reviews: Dataset, tmp_path: Any) -> None:
    import polars as pl

    write_resumed(planned, reviews, training_order(planned, reviews), tmp_path / "run", tmp_path / "run/checkpoint-80")
    config = yaml.safe_load((tmp_path / "run" / RESUMED).read_text())
    assert planned.config["gradient_accumulation_steps"] == 2 and config["max_steps"] == 81
    assert config["resume_from_checkpoint"] == str(tmp_path / "run/checkpoint-80")
    assert config["dataset_dir"] == str(tmp_path / "run/rest") and config["ignore_data_skip"] is True
    assert config["buffer_size"] == 1 and config["media_dir"] == planned.config["media_dir"]
    left = pl.read_parquet(tmp_path / "run/rest/mmaffin_train.parquet")["id"].str.slice(-6).cast(pl.Int64).to_list()
    last = batches(1300, planned.config, 2)[160:]
    assert last.shape == (2, 2, 4) and set(left) == set(last.ravel().tolist())
    write_resumed(planned, reviews, training_order(planned, reviews), tmp_path / "new", None)
    whole = pl.read_parquet(tmp_path / "new/rest/mmaffin_train.parquet")["id"].str.slice(-6).cast(pl.Int64).to_list()
    assert set(whole) == set(batches(1300, planned.config, 2).ravel().tolist()), "without a checkpoint, every row"


def test_a_run_that_stopped_after_its_last_step_takes_only_what_a_model_needs(tmp_path: Any) -> None:
    last = tmp_path / "checkpoint-12"
    (last / "global_step12").mkdir(parents=True)
    kept = ("model.safetensors", "config.json", "tokenizer.json", "trainer_state.json")
    trainers = ("optimizer.pt", "scheduler.pt", "rng_state.pth", "rng_state_1.pth", "latest", "zero_to_fp32.py")
    for name in (*kept, *trainers, "global_step12/x_optim_states.pt"):
        (last / name).write_text(name)
    finish_from(last, tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == sorted(kept)
    assert step_of(last) == 12
