"""Training rows that repeat a test row, exactly or nearly: of the same corpus, of another, or after translation.

A training row copies a test row when every modality that both rows have matches: the words (a text or a transcript),
and the picture (or a clip's first frame). So MELD's "Thank you so much!" in another scene is not a copy, but the same
subtitle in XED is one. Short words alone do not make a copy, because people often say the same. The time is linear in
the number of rows (near.py).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import orjson
import polars as pl
from numpy.typing import NDArray

from data_build.config import Leaks
from data_build.leaks.near import jaccard, near_hashes, near_texts
from data_build.media.media_index import Index
from data_build.media.picture_hash import shift_levels, thumbnail
from data_build.rows.select import folded
from data_build.rows.words import words_of
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import MEDIA_INDEX, split_file
from mmafflm.errors import Fault
from mmafflm.files.inside import quoted
from mmafflm.media.budget import stored_picture

WIDE = r"[\x{1100}-\x{11ff}\x{3040}-\x{30ff}\x{3400}-\x{9fff}\x{ac00}-\x{d7af}]"  # one such character counts as two
MOST = 64  # a row is compared with at most this many rows that match its words or its difference hash
Key = TypeVar("Key", str, int)


class LeakRow(NamedTuple):
    """A training or test row. `words`: normalized, not shortened; `picture`: path below DATA; either may be empty."""

    id: str
    subset: str
    words: str
    long: bool  # whether the words are long enough to be a copy by themselves
    picture: str
    sight: int  # the picture's difference hash


class Leak(NamedTuple):
    """A training row and the test row that it copies. `similarity`: of their words; 1 when one of them has no words."""

    train: LeakRow
    test: LeakRow
    kind: str  # exact or near
    similarity: float


def read_rows(data: Path, names: Iterable[tuple[str, str]], index: Index, shortest: int) -> list[LeakRow]:
    """The records of these splits, each given as (subset, split). shortest: see Leaks."""
    return make_rows((row for name in names for row in _records(data, *name)), index, shortest)


def make_rows(rows: Iterable[tuple[str, str, str, str]], index: Index, shortest: int) -> list[LeakRow]:
    """Make rows from tuples of id, subset, words (as written) and picture."""
    table = pl.DataFrame(list(rows), ["id", "subset", "words", "picture"], orient="row")
    return [] if table.is_empty() else table_rows(table, index, shortest)


def table_rows(table: pl.DataFrame, index: Index, shortest: int) -> list[LeakRow]:
    """Make rows from a table with the columns id, subset, words (as written) and picture."""
    table = table.with_columns(words=folded(pl.col("words")))
    length = pl.col("words").str.len_chars() + pl.col("words").str.count_matches(WIDE)
    table = table.with_columns(long=length >= shortest)
    return [
        LeakRow(name, subset, words, long, picture, _sight_of(name, picture, index) if picture else 0)
        for name, subset, words, long, picture in table.select("id", "subset", "words", "long", "picture").iter_rows()
    ]


def _sight_of(name: str, picture: str, index: Index) -> int:
    if picture not in index:
        raise Fault(f"{name}: {quoted(picture)}: not in {MEDIA_INDEX}. Run mmaffin check, or build again.")
    return int(index[picture].dhash or "0", 16)


def words_column(rows: pl.DataFrame) -> pl.Series:
    """The words of rows in shards: their text or, for a release, the text quoted in its own prompt."""
    if "prompt" not in rows.columns:
        return rows["text"]
    asked = rows.select("subset", "task", "text", "prompt").iter_rows()
    words = [
        text if not prompt else words_of(benchmark()[name].task(task), prompt) for name, task, text, prompt in asked
    ]
    return pl.Series(words, dtype=pl.String)


def _records(data: Path, subset: str, split: str) -> Iterator[tuple[str, str, str, str]]:
    path = data / split_file(subset, split)
    with path.open("rb") as lines:
        for line in lines:
            row = orjson.loads(line)
            shown = [*row["images"], *(video if isinstance(video, str) else video[0] for video in row["videos"])]
            words = words_of(benchmark()[subset].task(row["task"]), row["messages"][0]["content"])
            yield row["id"], subset, words, shown[0] if shown else ""


def find_leaks(train: Sequence[LeakRow], tests: Sequence[LeakRow], rules: Leaks, data: Path) -> list[Leak]:
    """Each training row that copies a test row, once, in the order of `train`. data: the folder with the pictures."""
    sight = _Sight(data, rules)
    found: dict[int, Leak] = {}
    for number, leak in [*_by_words(train, tests, rules, sight), *_by_sight(train, tests, rules, sight)]:
        if number not in found or (leak.kind, -leak.similarity) < (found[number].kind, -found[number].similarity):
            found[number] = leak
    return [found[number] for number in sorted(found)]


class _Sight:
    """Decide whether two pictures show the same, first by their hashes, then by their pixels."""

    def __init__(self, data: Path, rules: Leaks) -> None:
        self.data, self.rules = data, rules
        self.open = lru_cache(maxsize=4096)(self._open)

    def _open(self, name: str) -> NDArray[np.float32] | None:
        if Path(name).suffix not in (".png", ".bmp"):  # for a clip kept as a file we have only its first frame's hash
            return None
        with stored_picture(self.data, name) as picture:
            return thumbnail(picture)

    def same(self, one: LeakRow, other: LeakRow) -> bool:
        if one.picture == other.picture:
            return True
        if (one.sight ^ other.sight).bit_count() > self.rules.picture_bits:
            return False
        left, right = self.open(one.picture), self.open(other.picture)
        if left is None or right is None:
            return one.sight == other.sight
        allowed = max(self.rules.picture_levels, self.rules.picture_shift * shift_levels(right))
        return float(np.abs(left - right).mean()) <= allowed


def _by_words(
    train: Sequence[LeakRow], tests: Sequence[LeakRow], rules: Leaks, sight: _Sight
) -> Iterator[tuple[int, Leak]]:
    """Training rows whose long words match a test row's. If both have a picture, the pictures must match as well."""
    ours, theirs = _by(train, _long_words), _by(tests, _long_words)
    exact = [words for words in ours if words in theirs]
    left, right = [words for words in ours if words not in theirs], list(theirs)
    pairs = [(words, words, 1.0) for words in exact]
    pairs += [(left[one], right[other], share) for one, other, share in near_texts(left, right, rules.similarity)]
    for words, held_out, similarity in pairs:
        for number in ours[words]:
            row = train[number]
            copies = (tests[other] for other in theirs[held_out][:MOST])
            copy = next((c for c in copies if not (row.picture and c.picture) or sight.same(row, c)), None)
            if copy:
                yield number, _leak(row, copy, similarity)


def _by_sight(
    train: Sequence[LeakRow], tests: Sequence[LeakRow], rules: Leaks, sight: _Sight
) -> Iterator[tuple[int, Leak]]:
    """Training rows whose picture matches a test row's. If both have words, even short ones, these must match."""
    ours, theirs = _by(train, _shown), _by(tests, _shown)
    left, right = list(ours), list(theirs)
    pairs = near_hashes(np.array(left, np.uint64), np.array(right, np.uint64), rules.picture_bits)
    for one, other in pairs.tolist():
        for number in ours[left[one]]:
            row = train[number]
            for copy in (tests[place] for place in theirs[right[other]][:MOST]):
                similarity = _same_words(row, copy)
                if similarity >= rules.similarity and sight.same(row, copy):
                    yield number, _leak(row, copy, similarity)
                    break


def _by(rows: Sequence[LeakRow], key: Callable[[LeakRow], Key | None]) -> dict[Key, list[int]]:
    """Group the positions of the rows by key, without rows whose key is None."""
    found: dict[Key, list[int]] = {}
    for number, row in enumerate(rows):
        what = key(row)
        if what is not None:
            found.setdefault(what, []).append(number)
    return found


def _long_words(row: LeakRow) -> str | None:
    return row.words if row.long else None


def _shown(row: LeakRow) -> int | None:
    return row.sight if row.picture else None


def _same_words(one: LeakRow, other: LeakRow) -> float:
    if not one.words or not other.words or one.words == other.words:
        return 1.0
    return jaccard(one.words, other.words)


def _leak(row: LeakRow, copy: LeakRow, similarity: float) -> Leak:
    exact = similarity == 1.0 and (not (row.picture and copy.picture) or row.picture == copy.picture)
    return Leak(row, copy, "exact" if exact else "near", similarity)
