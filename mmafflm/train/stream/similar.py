"""`similar_lengths: true` in a recipe: the records that share a micro-batch are of similar length.

A micro-batch is padded to its longest record, so records of mixed lengths waste computing. Each optimizer step keeps
its examples. They are sorted by length and dealt to the step's micro-batches, so that the ranks that compute at the
same time get similar lengths, too.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from mmafflm.dataset import Dataset
from mmafflm.errors import UsageFault
from mmafflm.train.plan.plan import Plan
from mmafflm.train.plan.token_counts import BYTES_A_TOKEN, mix_rows, text_tokens
from mmafflm.train.stream.order import Rows, batches

Numbers = npt.NDArray[np.int64]

PICTURES, TEXT, CLIPS = range(3)  # the order of sorting: text between pictures and clips keeps them apart


def training_order(planned: Plan, data: Dataset) -> Rows:
    """Row numbers of the mix in training order: [steps x accumulation, ranks, micro] as in stream/order.py.

    Raises UsageFault when pictures and clips would share a micro-batch and the family does not support that.
    """
    order = batches(planned.mix.rows, planned.config, planned.ranks)
    if not planned.similar_lengths:
        return order
    rows = mix_rows(data, planned.family, planned.budget)
    apart = planned.family.mixed_media_hangs or planned.family.mixed_media_swapped
    kinds = _kinds(rows) if apart else np.full(rows.height, TEXT)
    lengths = _lengths(rows, planned)
    order = grouped(order, int(planned.config["gradient_accumulation_steps"]), kinds, lengths)
    found = kinds[order]
    both = int(((found == PICTURES).any(-1) & (found == CLIPS).any(-1)).sum())
    if both:
        raise UsageFault(
            f"{planned.recipe}: {both} of {len(order) * planned.ranks} micro-batches would hold pictures and clips, "
            "because their steps have too few texts to keep them apart. Set per_device_train_batch_size: 1."
        )
    return order


def grouped(order: Rows, accumulation: int, kinds: Numbers, lengths: Numbers) -> Rows:
    """The micro-batches of `order`, each step's rows sorted by kind and length. kinds, lengths: of each row."""
    steps = order.reshape(len(order) // accumulation, -1)
    places = np.lexsort((lengths[steps], kinds[steps]), axis=-1)
    return np.take_along_axis(steps, places, axis=-1).reshape(order.shape)


def _kinds(rows: pl.DataFrame) -> Numbers:
    pictures, clips = ((rows[name].list.len() > 0).to_numpy() for name in ("images", "videos"))
    return np.where(clips, CLIPS, np.where(pictures, PICTURES, TEXT))


def _lengths(rows: pl.DataFrame, planned: Plan) -> Numbers:
    """The tokens of each row. For a hub base they are estimated from bytes, even if its tokenizer is on this machine.

    The tokenizer may have been downloaded after the run started, and a resumed run must compute the same order.
    """
    vision: Numbers = rows["vision_tokens"].to_numpy().astype(np.int64)
    if planned.base_is_local:
        tokenizer = Path(planned.config["model_name_or_path"]) / "tokenizer.json"
        return vision + text_tokens(tokenizer, rows, planned.family)
    text: Numbers = rows["text_bytes"].to_numpy().astype(np.int64) // BYTES_A_TOKEN
    return vision + text
