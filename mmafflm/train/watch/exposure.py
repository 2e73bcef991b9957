"""What a run has read of the mix after each step: subsets, languages, modalities, and tokens with and without padding.

All of this is computed, not measured. The order of the mix is known (mmafflm/train/stream/order.py), the base's own
tokenizer counts a record's tokens, and LLaMA-Factory pads a micro-batch to its longest record, rounded up to a multiple
of 8. Tests compare both token counts with the Trainer's own (include_num_input_tokens_seen), which would cost a
collective operation for every micro-batch.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from mmafflm.dataset import MIX, Dataset
from mmafflm.families.base import MediaSize
from mmafflm.hub import file_of
from mmafflm.records import read_jsonl
from mmafflm.train.plan.plan import Plan
from mmafflm.train.plan.token_counts import counted_for, text_tokens
from mmafflm.train.stream.order import Rows

KINDS = ("subset", "language", "modality")
PAD = 8  # LLaMA-Factory's pad_to_multiple_of
DUMMY = MediaSize(64, 64)  # a micro-batch without media gets a white picture, so that no rank waits for another


class Tokens(NamedTuple):
    """Tokens of some steps over all ranks: those of the records, and all that the model computes on (with padding)."""

    real: int
    padded: int


class Exposure:
    """Counts the rows and tokens of the mix in training order."""

    def __init__(self, data: Dataset, plan: Plan, order: Rows) -> None:
        """order: the training order, from stream/similar.py."""
        config = plan.config
        self.accumulation = int(config["gradient_accumulation_steps"])
        self.micro_batches = order
        self.base, self.cutoff = str(config["model_name_or_path"]), int(config.get("cutoff_len", 2048))
        self.data, self.family, self.budget = data, plan.family, plan.budget
        self.twin = data.path / "mmaffin" / "parquet" / f"{MIX}.parquet"
        self.lengths = np.zeros(plan.mix.rows, np.int64)  # 0 until counted
        self.rows: pl.DataFrame | None = None
        self.names: dict[str, list[str]] = {}
        self.codes: dict[str, npt.NDArray[np.int64]] = {}
        kinds = [[str(row[kind]) for kind in KINDS] for row in read_jsonl(data.path / data.manifest["mix"]["file"])]
        for at, kind in enumerate(KINDS):
            found, codes = np.unique([row[at] for row in kinds], return_inverse=True)
            self.names[kind], self.codes[kind] = found.tolist(), codes

    def rows_of(self, first: int, last: int) -> npt.NDArray[np.int64]:
        """The rows of steps first to last, counted from 1 and both included: [micro-batches, ranks, micro]."""
        return self.micro_batches[(first - 1) * self.accumulation : last * self.accumulation]

    def shares(self, step: int) -> dict[str, dict[str, float]]:
        """{"subset": {name: its share of the examples seen up to this step}, "language": ..., "modality": ...}."""
        rows = self.rows_of(1, step).reshape(-1)
        return {
            kind: {
                name: round(float(count) / len(rows), 5)
                for name, count in zip(names, np.bincount(self.codes[kind][rows], minlength=len(names)), strict=True)
            }
            for kind, names in self.names.items()
        }

    def tokens(self, first: int, last: int) -> Tokens | None:
        """The tokens of steps first to last; None while there is no tokenizer (the base is still being downloaded)."""
        micro = self.rows_of(first, last)
        if not self._count(np.unique(micro)):
            return None
        assert self.rows is not None
        lengths = self.lengths[micro]
        seen = self.rows["vision_tokens"].to_numpy()[micro] > 0
        filled = lengths.copy()
        filled[..., 0] += np.where(seen.any(-1), 0, self.family.media.tokens(DUMMY))
        longest = -(-filled.max(-1) // PAD) * PAD
        return Tokens(int(lengths.sum()), int(longest.sum()) * micro.shape[-1])

    def _count(self, rows: npt.NDArray[np.int64]) -> bool:
        """Tokenize those rows that are not counted yet; False without a tokenizer. 256 rows take about 50 ms."""
        path = file_of(self.base, "tokenizer.json")
        if path is None:
            return False
        if self.rows is None:
            mix = pl.read_parquet(self.twin, columns=["messages", "images", "videos", "vision_tokens"])
            self.rows = counted_for(self.family, self.data, self.budget, mix, path)
        left = rows[self.lengths[rows] == 0]
        if len(left):
            chosen = self.rows[left.tolist()]
            counted = text_tokens(path, chosen, self.family) + chosen["vision_tokens"].to_numpy()
            self.lengths[left] = np.minimum(counted, self.cutoff)
        return True
