"""Which rows a limit keeps: a seeded sample, stratified and nested, the same on every machine.

Many corpora are sorted by class, product or emotion, so the first rows of a file do not represent it: the first 1,000
test rows of FER2013 are 958 angry faces and 42 disgusted ones. Therefore every limit uses this module.
"""

import hashlib
from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from mmafflm.records import Record

SEED = 2505


def shuffle_key(seed: int, record_id: str) -> bytes:
    """A record's sort key in a shuffled order, 16 bytes. It depends on the seed and the record's id only."""
    return hashlib.blake2b(f"{seed}:{record_id}".encode(), digest_size=16).digest()


def draw(strata: npt.NDArray[np.int64], places: npt.NDArray[np.uint64], limit: int) -> npt.NDArray[np.intp]:
    """Sample at most `limit` of n rows and return their positions, ascending.

    strata: [n], the number of each row's stratum; places: [n], a random number for each row. Rows are sampled in turns.
    In each turn, every stratum that has rows left contributes the one with the smallest random number. This order does
    not depend on the limit, so a smaller limit samples a subset of what a larger one samples.
    """
    by_stratum = np.lexsort((places, strata))
    sizes = np.unique(strata, return_counts=True)[1]
    turn = np.arange(len(strata)) - np.repeat(sizes.cumsum() - sizes, sizes)
    in_turns = by_stratum[np.lexsort((places[by_stratum], turn))]
    return np.sort(in_turns[:limit])


def sample(records: Sequence[Record], limit: int | None, seed: int = SEED) -> list[Record]:
    """At most `limit` of one subset's records, in record order; all when limit is None.

    The sample is stratified by task, emotion and language: 500 of XED's 12,500 test rows are 20 of each language.
    """
    if limit is None or limit >= len(records):
        return list(records)
    known: dict[Hashable, int] = {}
    groups = ((record.task, record.emotion, record.language) for record in records)
    strata = np.array([known.setdefault(group, len(known)) for group in groups], dtype=np.int64)
    places = np.array([int.from_bytes(shuffle_key(seed, record.id)[:8]) for record in records], dtype=np.uint64)
    return [records[at] for at in draw(strata, places, limit)]
