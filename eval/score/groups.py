"""Which rows depend on each other: the utterances of a dialogue, the clips of a film, the people in a picture.

Intervals over rows take such rows for independent and are too narrow. `mmaffin build` writes the group of a row into
its record where the corpus knows it. XED's subtitles are parallel across languages, but no file of XED has a key that
links them, so they count as independent.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eval.score.metrics import Array, Floats
from mmafflm.records import Record

ROW = "row"


def groups_of(records: Sequence[Record]) -> NDArray[np.int64]:
    """One number a row [n], equal for rows of one group, from 0 in the order of their first rows.

    A row whose group is unknown, as all are in data of an older build, is a group of its own.
    """
    if not any(record.group for record in records):
        return np.arange(len(records))
    known: dict[str, int] = {}
    keys = (record.group or f"\0{row}" for row, record in enumerate(records))
    return np.array([known.setdefault(key, len(known)) for key in keys], dtype=np.int64)


def unit_of(records: Sequence[Record]) -> str:
    """What groups_of() puts together, such as "dialogue"; "row" when no two rows are in one group."""
    known = [record.group for record in records if record.group]
    return known[0].partition(":")[0] if len(set(known)) < len(known) else ROW


class Members(NamedTuple):
    """How often each of K distinct rows occurs in each of G groups, so that groups can be drawn instead of rows."""

    times: Any  # a sparse matrix [K, G] of scipy
    units: int

    def weights(self, drawn: Floats) -> Floats:
        """How often each distinct row counts [B, K], from how often each group was drawn [B, G]."""
        weights: Floats = (self.times @ drawn.T).T
        return weights


def members(groups: Array | None, distinct: Array) -> Members | None:
    """The members of the groups; None when every row is alone in its group, or `groups` is None.

    groups [n]: see groups_of(). distinct [n]: the number of each row's distinct row; each from 0 occurs.
    """
    if groups is None or not len(groups):
        return None
    known, own = np.unique(groups, return_inverse=True)
    if len(known) == len(own):
        return None
    from scipy.sparse import csr_matrix  # a tenth of a second, which most commands do not need

    return Members(csr_matrix((np.ones(len(own)), (distinct, own))), len(known))
