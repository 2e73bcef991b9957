"""Near duplicates in time linear in rows: MinHash with LSH for texts, difference hashes for pictures. Pure functions.

We use numpy only. The library datasketch hashes one text at a time in Python: its MinHash of 128 permutations takes a
second for some thousand short texts. We need only a few lines with arrays.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

SHINGLE = 3  # characters: one changed character in a text of 30 leaves 27 of 33 trigrams shared
BANDS, ROWS = 16, 4  # texts with similarity 0.7 share a band's key with probability 0.99, with 0.8: 0.9998
# Texts made from one template ("Review 12: came late") all land in one bucket. To keep the time linear, a text is
# compared by minima with at most MOST texts of each band's bucket, and by trigrams with the BEST most similar of these.
MOST, BEST = 16, 4
LEFT = 16_384  # texts of the left side that are processed at a time
SLACK = 0.2  # three standard deviations of a similarity that is estimated from 64 minima
CHUNK = 200_000  # characters processed at a time, so that the arrays stay in the processor's cache
PICTURE_BITS = (16, 16, 16, 16)  # bands of a difference hash: two hashes that differ in at most three bits share a band
PICTURE_MOST = 256  # most pictures of each band's bucket that a picture is compared with

Hashes: TypeAlias = NDArray[np.uint64]
Pairs: TypeAlias = NDArray[np.int64]  # n x 2: position on the left, position on the right


class Near(NamedTuple):
    """Two texts, by position, and the share of their character trigrams that both have (Jaccard)."""

    left: int
    right: int
    similarity: float


def near_texts(left: Sequence[str], right: Sequence[str], similarity: float) -> list[Near]:
    """Each text on the left with its most similar text on the right, if they share at least `similarity`.

    The texts must be normalized. Recall is as stated at BANDS, except in full buckets (MOST).
    """
    if not left or not right:
        return []
    theirs = signatures(right)
    bands = [_Sorted.of(keys) for keys in _bands(theirs)]
    best: dict[int, Near] = {}
    for start in range(0, len(left), LEFT):
        ours = signatures(left[start : start + LEFT])
        pairs = _meet(_bands(ours), bands, MOST)
        for one, other in _likely(pairs, ours, theirs, similarity - SLACK).tolist():
            share = jaccard(left[start + one], right[other])
            if share >= similarity and (start + one not in best or share > best[start + one].similarity):
                best[start + one] = Near(start + one, other, share)
    return [best[one] for one in sorted(best)]


def _likely(pairs: Pairs, ours: NDArray[np.uint32], theirs: NDArray[np.uint32], least: float) -> Pairs:
    """The pairs whose minima agree in at least the share `least`; for each text on the left only the best few."""
    agreed = np.zeros(len(pairs), dtype=np.float32)
    for start in range(0, len(pairs), CHUNK):
        some = pairs[start : start + CHUNK]
        agreed[start : start + CHUNK] = (ours[some[:, 0]] == theirs[some[:, 1]]).mean(axis=1)
    pairs, agreed = pairs[agreed >= least], agreed[agreed >= least]
    order = np.lexsort((pairs[:, 1], -agreed, pairs[:, 0]))
    rows = pairs[order, 0]
    place = np.arange(len(rows)) - np.searchsorted(rows, rows, "left")
    likely: Pairs = pairs[order[place < BEST]]
    return likely


def jaccard(one: str, other: str) -> float:
    """The number of character trigrams that both texts have, as a share of those that either has."""
    left, right = _shingles(one), _shingles(other)
    return len(left & right) / len(left | right)


def _shingles(text: str) -> set[str]:
    text = f" {text} ".ljust(SHINGLE)
    return {text[at : at + SHINGLE] for at in range(len(text) - SHINGLE + 1)}


def signatures(texts: Sequence[str]) -> NDArray[np.uint32]:
    """The MinHash signature of each text: BANDS x ROWS minima of its trigrams' hashes, one for each permutation."""
    random = np.random.default_rng(2505)
    factors = random.integers(0, 1 << 32, BANDS * ROWS, dtype=np.uint32) | np.uint32(1)
    shifts = random.integers(0, 1 << 32, BANDS * ROWS, dtype=np.uint32)
    found = np.empty((BANDS * ROWS, len(texts)), dtype=np.uint32)
    for start, some in _chunks(texts):
        hashes, starts = _hashes(some)
        for number, (factor, shift) in enumerate(zip(factors, shifts, strict=True)):
            found[number, start : start + len(some)] = np.minimum.reduceat(hashes * factor + shift, starts)
    return np.ascontiguousarray(found.T)


def _chunks(texts: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    start, some, length = 0, list[str](), 0
    for number, text in enumerate(texts):
        some.append(f" {text} ".ljust(SHINGLE))
        length += len(text)
        if length > CHUNK:
            yield start, some
            start, some, length = number + 1, [], 0
    if some:
        yield start, some


def _hashes(texts: list[str]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """The hashes of every trigram, one text after the other, and the position where each text begins."""
    points = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    ends = np.cumsum(lengths)
    inside = np.ones(len(points), dtype=bool)
    for back in range(1, SHINGLE):
        inside[ends - back] = False
    mixed = points[: -SHINGLE + 1] | (points[1:-1] << np.uint64(21)) | (points[2:] << np.uint64(42))
    hashes = _mix(mixed[inside[: -SHINGLE + 1]])
    counts = lengths - (SHINGLE - 1)
    return (hashes >> np.uint64(32)).astype(np.uint32), np.cumsum(counts) - counts


def _mix(numbers: Hashes) -> Hashes:
    """The last steps of splitmix64: every bit of the result depends on every bit of the number."""
    with np.errstate(over="ignore"):
        numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


def _bands(minima: NDArray[np.uint32]) -> list[Hashes]:
    keys = []
    for band in range(BANDS):
        key = np.full(len(minima), band, dtype=np.uint64)
        for column in minima[:, band * ROWS : (band + 1) * ROWS].T:
            key = _mix(key * np.uint64(31) + column)
        keys.append(key)
    return keys


class _Sorted(NamedTuple):
    """One band's keys in order, and the row of each key; sorted once for all chunks of the left side."""

    keys: Hashes
    rows: Pairs

    @classmethod
    def of(cls, keys: Hashes) -> "_Sorted":
        rows = np.argsort(keys, kind="stable")
        return cls(keys[rows], rows)


def _meet(left: Sequence[Hashes], right: Sequence[_Sorted], most: int) -> Pairs:
    """Pairs of rows with the same key in a band, each pair once; at most `most` per band for each left row."""
    met = []
    for ours, theirs in zip(left, right, strict=True):
        first = np.searchsorted(theirs.keys, ours, "left")
        counts = np.minimum(np.searchsorted(theirs.keys, ours, "right") - first, most)
        rows = np.repeat(np.arange(len(ours)), counts)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        met.append(rows * len(theirs.rows) + theirs.rows[first[rows] + within])
    pairs: NDArray[np.int64] = np.unique(np.concatenate(met))
    return np.stack([pairs // len(right[0].rows), pairs % len(right[0].rows)], axis=1)


def near_hashes(left: Hashes, right: Hashes, most_bits: int = 3) -> Pairs:
    """The pairs of difference hashes that differ in at most `most_bits` bits; `most_bits` is at most 3."""
    if not len(left) or not len(right):
        return np.empty((0, 2), dtype=np.int64)
    bands = [_Sorted.of(keys) for keys in _picture_bands(right)]
    pairs = _meet(_picture_bands(left), bands, PICTURE_MOST)
    near: Pairs = pairs[np.bitwise_count(left[pairs[:, 0]] ^ right[pairs[:, 1]]) <= most_bits]
    return near


def _picture_bands(hashes: Hashes) -> list[Hashes]:
    shifts = np.cumsum((0, *PICTURE_BITS[:-1]))
    return [
        (hashes >> np.uint64(shift)) & np.uint64((1 << bits) - 1)
        for shift, bits in zip(shifts.tolist(), PICTURE_BITS, strict=True)
    ]
