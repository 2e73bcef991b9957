"""Which rows depend on each other: the utterances of a dialogue, the clips of a film, the people in a picture.

Intervals that treat such rows as independent are too narrow. `mmaffin build` writes the group of a row into its record
if the corpus contains this information. XED's subtitles are parallel across languages, but no file of XED has a key
that links them, so they count as independent.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eval.score.metrics import Array, Floats
from mmafflm.records import Record

ROW = "row"


def groups_of(records: Sequence[Record]) -> NDArray[np.int64]:
    """The number of each row's group [n]. Groups are numbered from 0 in the order of their first rows.

    A row whose group is unknown is a group of its own. In data of an older build this holds for all rows.
    """
    if not any(record.group for record in records):
        return np.arange(len(records))
    known: dict[str, int] = {}
    keys = (record.group or f"\0{row}" for row, record in enumerate(records))
    return np.array([known.setdefault(key, len(known)) for key in keys], dtype=np.int64)


def unit_of(records: Sequence[Record]) -> str:
    """The kind of the groups of groups_of(), such as "dialogue"; "row" when no two rows are in one group."""
    known = [record.group for record in records if record.group]
    return known[0].partition(":")[0] if len(set(known)) < len(known) else ROW


class Members(NamedTuple):
    """times [K, G]: how often each of K distinct rows occurs in each of G groups, to draw groups instead of rows."""

    times: Any  # a sparse matrix [K, G] of scipy
    units: int

    def weights(self, drawn: Floats) -> Floats:
        """The count of each distinct row [B, K], from the number of times that each group was drawn [B, G]."""
        weights: Floats = (self.times @ drawn.T).T
        return weights


def members(groups: Array | None, distinct: Array) -> Members | None:
    """The members of the groups. None when every row is alone in its group, without rows, or if `groups` is None.

    groups [n]: see groups_of(). distinct [n]: the number, from 0 to K - 1, of the distinct row that each row equals.
    """
    if groups is None or not len(groups):
        return None
    known, own = np.unique(groups, return_inverse=True)
    if len(known) == len(own):
        return None
    from scipy.sparse import csr_matrix  # takes a tenth of a second, and most commands do not need it

    return Members(csr_matrix((np.ones(len(own)), (distinct, own))), len(known))
