"""Which rows depend on each other: the utterances of a dialogue, the clips of a film, the people in a picture.

Intervals over rows take such rows for independent and are too narrow. `mmaffin build` writes the group of a row into
its record where the corpus knows it. XED's subtitles are parallel across languages, but no file of XED has a key that
links them, so they count as independent.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mmafflm.records import Record

ROW = "row"


def groups_of(records: Sequence[Record]) -> NDArray[np.int64]:
    """One number a row [n], equal for rows of one group, from 0 in the order of their first rows.

    A row whose group is unknown, as all are in data of an older build, is a group of its own.
    """
    known: dict[str, int] = {}
    keys = (record.group or f"\0{row}" for row, record in enumerate(records))
    return np.array([known.setdefault(key, len(known)) for key in keys], dtype=np.int64)


def unit_of(records: Sequence[Record]) -> str:
    """What groups_of() puts together, such as "dialogue"; "row" when no two rows are in one group."""
    groups = groups_of(records)
    units = [record.group.partition(":")[0] for record in records if record.group]
    return units[0] if units and len(groups) and groups.max() + 1 < len(groups) else ROW
