"""Which rows of the mix each optimizer step reads, as LLaMA-Factory, datasets, accelerate and torch distribute them.

LLaMA-Factory cuts the mix into dataloader_num_workers contiguous shards. It shuffles each through a buffer of
`buffer_size` rows with `seed`. accelerate gives every rank an equal share of the shards. A rank has one worker for each
of its shards. These workers get the shards in shuffled order, and the rank's micro-batches come from them in turn
(datasets 4.0.0, accelerate 1.11.0). None of this depends on time or on the machine, so we can compute it. A test reads
the same rows through LLaMA-Factory, datasets, accelerate and torch.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]

DRAWN = 1000  # datasets draws this many buffer positions at a time
SEED = 42  # transformers' default


def batches(rows: int, config: dict[str, Any], ranks: int) -> Rows:
    """Row numbers of the mix, [steps x accumulation, ranks, micro]: each rank's micro-batches in training order.

    rows: the number of rows in the mix; config: that of a complete plan. Step s (from 1) reads `accumulation`
    micro-batches, from (s - 1) * accumulation on.
    """
    micro, workers = int(config["per_device_train_batch_size"]), int(config["dataloader_num_workers"])
    count = int(config["max_steps"]) * int(config["gradient_accumulation_steps"])
    seed, buffer = int(config.get("seed", SEED)), int(config.get("buffer_size", 16384))
    shards = _shards(rows, workers)
    if workers <= ranks:  # every rank reads all rows and keeps its share of each batch
        order = np.concatenate([_shuffled(shards[at], buffer, seed) for at in shuffled_numbers(workers, seed)])
        return order[: count * ranks * micro].reshape(count, ranks, micro)
    each = workers // ranks
    by_rank = [shards[rank * each : (rank + 1) * each] for rank in range(ranks)]
    return np.stack([_of_rank(own, count, micro, buffer, seed) for own in by_rank], axis=1)


def _shards(rows: int, number: int) -> list[Rows]:
    """Contiguous shards whose lengths differ by at most one, the longer ones first."""
    return np.array_split(np.arange(rows), number)


def _of_rank(shards: list[Rows], count: int, micro: int, buffer: int, seed: int) -> Rows:
    """The first `count` micro-batches of one rank, [count, micro]: one batch from each of its shards in turn."""
    turns = -(-count // len(shards))
    dealt = [_shuffled(shards[at], buffer, seed)[: turns * micro] for at in shuffled_numbers(len(shards), seed)]
    parts = np.stack([rows.reshape(turns, micro) for rows in dealt], axis=1)
    return parts.reshape(-1, micro)[:count]


def shuffled_numbers(number: int, seed: int) -> list[int]:
    """The order in which datasets hands out this many shards."""
    numbers = list(range(number))
    np.random.default_rng(seed).shuffle(numbers)
    return numbers


def _shuffled(rows: Rows, buffer: int, seed: int) -> Rows:
    """Rows in the order in which they leave datasets' shuffle buffer: each new row replaces a random one, which
    leaves the buffer. At the end the rest is shuffled.
    """
    draw = np.random.default_rng(seed)
    held, left = list(rows[:buffer]), []
    places: list[int] = []
    for row in rows[buffer:]:
        if not places:
            places = draw.integers(0, buffer, size=DRAWN).tolist()[::-1]
        place = places.pop()
        left.append(held[place])
        held[place] = row
    draw.shuffle(held)
    return np.array(left + held, dtype=np.int64)
