"""A corpus is one file in data_build/corpora/: its card (the docstring), how to find its files and how to read a row.

To add a corpus, add that file, its entry in mmafflm/benchmark/subsets.yaml and its test; nothing else lists corpora.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Literal, NamedTuple

import polars as pl

from data_build.reading.raw import RawFile
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.benchmark.grammar import Gold, Labels
from mmafflm.errors import Fault

WHITE = "".join(filter(str.isspace, map(chr, range(0x3001))))  # Python's white space; polars has four fewer characters
LEADING = WHITE + "\ufeff"
EXAMPLES = pl.Schema(
    {
        "subset": pl.String,
        "task": pl.String,  # the task's key in the benchmark, such as ei_reg
        "language": pl.String,
        "split": pl.String,  # the corpus's own split; null: the build draws one
        "emotion": pl.String,
        "gold": pl.String,  # JSON
        "text": pl.String,  # the text or transcript; empty for a picture
        "media": pl.String,  # JSON of a Media, or null
        "source": pl.String,  # raw file and line
        "origin": pl.String,  # JSON, or null; see Example.origin
        "group": pl.String,  # or null; see Example.group
    }
)
QUARANTINE = pl.Schema(
    {
        "source": pl.String,
        "reason": pl.String,
        "detail": pl.String,
        "subset": pl.String,  # the subset that loses the row; null: the subset of its part
        "split": pl.String,  # the split that loses the row; null: the split of its part
        "unknown": pl.String,  # a label, class or split that the reader does not know, if that is the reason; else null
    }
)
BATCH = 50_000  # rows per frame: some ten megabytes of text


@dataclass(frozen=True, slots=True)
class RawMedia:
    """The picture or clip of a row, and which part of it to use. The build opens it; the reader never does.

    `box` is a person crop (x1, y1, x2, y2) in pixels of the picture; the build clips it to the picture. `grey` replaces
    a file: base64 of the bytes of a square grey picture (FER2013 keeps its pixels in the table). `max_s` limits a
    clip: the build takes the middle `max_s` seconds of a longer one and reports it. `frames`: the pictures, in order,
    of a clip that is distributed only as pictures; `file` is then the first of them.
    """

    kind: Literal["image", "video"]
    file: str = ""  # RawFile.name
    box: tuple[int, int, int, int] | None = None
    grey: str | None = None
    max_s: float | None = None
    frames: tuple[str, ...] = ()

    def to_json(self) -> str:
        """JSON of the fields that are not empty. Equal objects have equal JSON."""
        return json.dumps(
            {name: value for name in self.__slots__ if (value := getattr(self, name)) not in (None, "", ())}
        )


@dataclass(frozen=True, slots=True)
class Example:
    """One row of a raw corpus, in the benchmark's vocabulary.

    `origin` is the corpus's information about where the row comes from, such as its speaker or its clip's licence. Its
    key "annotators" has each annotator's gold: {task key: [gold, ...]}. `origin` is stored next to the records
    (dataset/origins.py), never in them.

    `group` identifies rows that are not independent, so that confidence intervals can resample them together: the kind
    of group, a colon, and a name that is unique in the corpus, such as "dialogue:test/12". None: no group is known.
    """

    subset: str
    task: str
    language: str
    split: str | None
    gold: Gold
    text: str
    source: str
    emotion: str | None = None
    media: RawMedia | None = None
    origin: Mapping[str, Any] | None = None
    group: str | None = None


NO_LANGUAGE = "zxx"  # ISO 639: no linguistic content; used as the language of a picture


@dataclass(frozen=True, slots=True)
class Bad:
    """One row of a raw corpus that cannot be used, and why. `detail` quotes the offending value.

    `subset` and `split` are those that lose the row; None: those of the part. `unknown` is a label, class or split that
    the reader does not know. The build quarantines a few rows with the same unknown value, but stops at many.
    """

    source: str
    reason: str
    detail: str
    subset: str | None = None
    split: str | None = None
    unknown: str | None = None


class PartRows(NamedTuple):
    """Some rows of a part: examples (schema EXAMPLES) and unusable rows (schema QUARANTINE)."""

    examples: pl.DataFrame
    bad: pl.DataFrame


@dataclass(frozen=True)
class RawPart:
    """The unit that one worker reads at a time, usually one raw file.

    `subset`: the subset of all its rows, if they have the same; the part is skipped when that subset is not built.
    `about` holds values for the reader, such as a language; the build uses only "split" (see Bad.split). `media` maps
    the reader's key of a picture or clip to the name of its raw file; a row whose key is missing there is Bad.
    """

    name: str  # unique within the corpus; parts are read in list order
    files: tuple[RawFile, ...]
    about: Mapping[str, str] = field(default_factory=dict)
    media: Mapping[str, str] = field(default_factory=dict)
    subset: str | None = None


@dataclass(frozen=True)
class Corpus:
    """A corpus's reader and what the build needs to know about the corpus.

    find(files, options) picks the parts out of all raw files below the corpus's folder. It raises Fault when the
    corpus is damaged, unlabelled or in a form that we do not read, and returns an empty list when there are no files.
    read(part, options) yields the part's rows, every raw row exactly once, in file order.
    options: the defaults of all options; find and read get them updated by the corpus's section of the build config.
    redistribute: whether the terms say that rows made from the corpus may be passed on. If they say nothing, rows may
    not be passed on; `terms` is the reason, a clause.
    own_licences: each row's picture or clip has its own licence, "licence" in its origin. A row is never passed on if
    its own licence forbids it or is unknown, whatever the corpus's terms say.
    samples(scale, seed) makes a small made-up copy in the raw layout: {file below the corpus's folder: its bytes}.
    mix: rows of each subset in the default training mix; a subset that is missing here is not in the mix.
    splits: the sizes that the build draws for subsets without their own split; see SplitSizes in config.py.
    row_origins: keys of Example.origin, such as "speaker", whose values the build compares between training and test.
    raw_origin: the kind of origin that the name of a raw picture or clip shows, and the pattern whose first group is
    that origin.
    choices: sentences for the data card about decisions that the paper does not specify.
    """

    name: str
    licence: str
    get: str  # a sentence that says how to get it
    expected: Mapping[str, int]  # "SUBSET split" -> rows when every file is there; for `mmaffin doctor`
    find: Callable[[list[RawFile], Mapping[str, Any]], list[RawPart]]
    read: Callable[[RawPart, Mapping[str, Any]], Iterator[PartRows]]
    options: Mapping[str, Any] = field(default_factory=dict)
    columns: tuple[str, ...] = tuple(EXAMPLES)  # of the frames that `read` yields; a release has more (release/read.py)
    redistribute: bool = False
    own_licences: bool = False
    terms: str = "no terms are known that allow it"
    cite: str = ""
    samples: Callable[[int, int], dict[str, bytes]] | None = None
    mix: Mapping[str, int] = field(default_factory=dict)
    splits: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    row_origins: tuple[str, ...] = ()
    raw_origin: tuple[str, re.Pattern[str]] | None = None
    choices: tuple[str, ...] = ()

    @property
    def counted_origins(self) -> list[str]:
        """Each kind of origin that the build compares between training and test, without repeats."""
        return list(dict.fromkeys([*self.row_origins, *([self.raw_origin[0]] if self.raw_origin else [])]))


def batched(rows: Iterable[Example | Bad]) -> Iterator[PartRows]:
    """Gather single rows into frames."""
    stream = map(_sound, rows)
    while batch := list(islice(stream, BATCH)):
        yield PartRows(
            pl.DataFrame([_columns(row) for row in batch if isinstance(row, Example)], EXAMPLES, orient="row"),
            pl.DataFrame(
                [_bad_columns(row) for row in batch if isinstance(row, Bad)],
                QUARANTINE,
                orient="row",
            ),
        )


def _sound(row: Example | Bad) -> Example | Bad:
    """Return the row, or a Bad if its text holds half a character (a lone surrogate), which UTF-8 cannot store."""
    if isinstance(row, Bad):
        unknown = None if row.unknown is None else _writable(row.unknown)
        return replace(row, source=_writable(row.source), detail=_writable(row.detail), unknown=unknown)
    if _writable(row.text) != row.text:
        return Bad(_writable(row.source), "text holds half a character (a lone surrogate)", _writable(row.text)[:200])
    return row if row.source.isascii() else replace(row, source=_writable(row.source))


def _writable(text: str) -> str:
    """The text with every lone surrogate escaped."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _columns(row: Example) -> tuple[str | None, ...]:
    gold = json.dumps(row.gold, ensure_ascii=False)
    media = row.media.to_json() if row.media else None
    origin = json.dumps(row.origin, ensure_ascii=False) if row.origin else None
    at = (row.subset, row.task, row.language, row.split, row.emotion)
    return (*at, gold, row.text, media, row.source, origin, row.group)


def _bad_columns(row: Bad) -> tuple[str | None, ...]:
    return (row.source, row.reason, row.detail, row.subset, row.split, row.unknown)


def clean(text: str) -> str:
    """A raw text without white space at both ends and without a U+FEFF at its start, which some editors leave there.

    Everything else is kept: HTML entities, a literal backslash and n, zero-width characters inside.
    """
    return text.lstrip(LEADING).rstrip(WHITE)


def label_set(subset: str, task: str = "ec") -> Labels:
    """The label grammar of a task of the benchmark. The task must have one."""
    grammar = benchmark()[subset].task(task).grammar
    assert isinstance(grammar, Labels)
    return grammar


def unrecognised(corpus: str, files: list[RawFile], expected: str) -> Fault:
    """The fault for a folder whose files do not belong to this corpus."""
    found = ", ".join(file.name for file in files[:3]) + (", ..." if len(files) > 3 else "")
    return Fault(f"{corpus}: none of its files among {found}; expected {expected}. Put the corpus's own files there.")
