"""Write a separate mix for a run: the rest after a checkpoint (`--resume`), or all rows in the order of similar.py.

LLaMA-Factory by itself replays the stream: it opens and tokenizes everything again up to the checkpoint. Instead, we
write the remaining rows as a separate mix into the run's folder. Its layout makes the same ranks and workers read the
rows in the order of the uninterrupted run, and the trainer starts at the beginning of the file.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import yaml

from mmafflm.dataset import MIX, Dataset
from mmafflm.records import replacing, write_text
from mmafflm.terminal.command import say
from mmafflm.train.plan.plan import Plan
from mmafflm.train.plan.recipe_file import Config
from mmafflm.train.stream.order import SEED, Rows, shuffled_numbers

REST = "rest"  # folder below OUT with the rest of the mix, while a resumed run needs it
RESUMED = "llamafactory.resume.yaml"
# The files of a checkpoint that only the trainer needs; a finished run has the others.
TRAINERS = ("optimizer.pt", "scheduler.pt", "rng_state*.pth", "latest", "zero_to_fp32.py", "global_step*")


def write_resumed(planned: Plan, data: Dataset, order: Rows, out: Path, checkpoint: Path | None) -> None:
    """Write OUT/llamafactory.resume.yaml, the config that continues from a checkpoint, and the rest of the mix for it.

    order: the training order of the whole run (stream/similar.py). Without a checkpoint the rest is the whole mix, in
    this order. When the recipe does not stream, the config makes LLaMA-Factory replay the data, a message says so, and
    no rest is written.
    """
    config = planned.config
    if checkpoint:
        config = config | {"resume_from_checkpoint": str(checkpoint.resolve())}
    if replays(config):
        say(f"Resuming from {checkpoint}. This recipe does not stream, so rows already seen are read again.")
    else:
        done = step_of(checkpoint) * int(config["gradient_accumulation_steps"]) if checkpoint else 0
        left = order[done:]
        _write_rest(data, out / REST, laid_out(left, config).tolist())
        # A buffer of one row keeps the file's order. The trainer must not skip rows of this file.
        config = config | {"dataset_dir": str((out / REST).resolve()), "buffer_size": 1, "ignore_data_skip": True}
        if checkpoint:
            say(f"Resuming from {checkpoint} with the remaining {left.size} of {planned.examples} examples.")
    write_text(out / RESUMED, yaml.safe_dump(config, sort_keys=True, allow_unicode=True))


def replays(config: Config) -> bool:
    """Whether the recipe does not stream. LLaMA-Factory then orders the rows, and a resumed run rereads old rows."""
    return not config.get("streaming")


def laid_out(left: Rows, config: Config) -> Rows:
    """The rows of a file that yields these micro-batches, [batches, ranks, micro], in order.

    The file is read through a buffer of one row. This is the inverse of `order.batches`. A rank's workers take turns,
    starting at the first batch, and their shards have equal length. If the number of workers does not divide the number
    of batches, copies of the last batch fill the shards. The copies may be read ahead but are never trained on.
    """
    _, ranks, micro = left.shape
    workers = int(config["dataloader_num_workers"])
    if workers <= ranks:  # every rank reads the one shard
        return left.reshape(-1)
    turns = workers // ranks
    full = np.concatenate([left, *[left[-1:]] * (-len(left) % turns)])
    by_worker = full.reshape(-1, turns, ranks, micro).transpose(2, 1, 0, 3)
    places = shuffled_numbers(turns, int(config.get("seed", SEED)))  # the shard that each worker reads
    return by_worker[:, np.argsort(places)].reshape(-1)


def step_of(checkpoint: Path) -> int:
    """The number of optimizer steps done at a checkpoint."""
    return int(checkpoint.name.rpartition("-")[2])


def finish_from(checkpoint: Path, out: Path) -> None:
    """Copy the weights of the last step's checkpoint to OUT, for a run that was stopped after that step.

    If the trainer resumed there, it would begin another epoch.
    """
    shutil.copytree(checkpoint, out, ignore=shutil.ignore_patterns(*TRAINERS), dirs_exist_ok=True)


def _write_rest(data: Dataset, folder: Path, rows: list[int]) -> None:
    """Write these rows of the mix, in this order, to a file, and a dataset_info.json that lists only this file."""
    entry = data.mix_entry()
    mix = pl.read_parquet(data.path / "mmaffin" / entry["file_name"])
    with replacing(folder / f"{MIX}.parquet") as file:
        mix[rows].write_parquet(file)
    write_text(folder / "dataset_info.json", json.dumps({MIX: entry | {"file_name": f"{MIX}.parquet"}}))
