"""Near duplicates in time linear in rows: MinHash with LSH for texts, difference hashes for pictures. Pure functions.

Own code on numpy and not a library: datasketch hashes one text at a time in Python (its MinHash of 128 permutations
takes a second for some thousand short texts), and what is needed here is a few lines over arrays.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

SHINGLE = 3  # characters: one edit in a text of 30 leaves 25 of 31 shared
BANDS, ROWS = 16, 4  # texts that share 0.7 of their shingles meet in a band with a chance of 0.99, 0.8: 0.9998
# Texts of one template ("Review 12: came late") meet all in one bucket. What a text is compared with is bounded, so the
# time stays linear: so many of a band's bucket by their minima, and the best so many of all by their trigrams.
MOST, BEST = 16, 4
LEFT = 16_384  # texts of the left side at a time
SLACK = 0.2  # three standard deviations of the estimate from 64 minima
CHUNK = 200_000  # characters at a time: the arrays stay in the processor's cache
PICTURE_BITS = (16, 16, 16, 16)  # bands of a difference hash: two that differ in three bits share one
PICTURE_MOST = 256

Hashes: TypeAlias = NDArray[np.uint64]
Pairs: TypeAlias = NDArray[np.int64]  # n x 2: row on the left, row on the right


class Near(NamedTuple):
    """Two texts, by position, and the share of their character trigrams that they have in common (Jaccard)."""

    left: int
    right: int
    similarity: float


def near_texts(left: Sequence[str], right: Sequence[str], similarity: float) -> list[Near]:
    """Every text on the left with its most similar one on the right, where they share at least `similarity`.

    The texts are normalized already. Recall is that of the banding above for texts at the bound, and near 1 above it.
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
    """The pairs of which at least that share of the minima agrees; for each on the left the best few."""
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
    """The share of the character trigrams of both that both have."""
    left, right = _shingles(one), _shingles(other)
    return len(left & right) / len(left | right)


def _shingles(text: str) -> set[str]:
    text = f" {text} ".ljust(SHINGLE)
    return {text[at : at + SHINGLE] for at in range(len(text) - SHINGLE + 1)}


def signatures(texts: Sequence[str]) -> NDArray[np.uint32]:
    """BANDS x ROWS minima for each text, of a hash of its trigrams under as many permutations."""
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
    """A hash of every trigram of the texts, one text after the other, and where each text begins."""
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
    """splitmix64's finish: every bit hangs on every bit."""
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
    """One band's keys in order, and the rows they are of: sorted once for all chunks of the left side."""

    keys: Hashes
    rows: Pairs

    @classmethod
    def of(cls, keys: Hashes) -> "_Sorted":
        rows = np.argsort(keys, kind="stable")
        return cls(keys[rows], rows)


def _meet(left: Sequence[Hashes], right: Sequence[_Sorted], most: int) -> Pairs:
    """The pairs of rows that have the same key in a band, once each; at most `most` of a band for each left row."""
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
    """The pairs of difference hashes that differ in at most `most_bits` (up to 3) bits."""
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
