"""Choose the rows to translate, and make a translated row."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple

from data_build.ids import FROM, new_id
from data_build.rows.words import words_of
from data_build.translate.engine import TranslationEngine
from data_build.translate.marks import has_words
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import Dataset
from mmafflm.records import Record
from mmafflm.sampling import sample

SPLITS = ("train", "val")  # a test is never translated


@dataclass(frozen=True)
class Order:
    """What to translate. limit: how many rows of each subset, split and pair, drawn by the build's seed; None: all."""

    subsets: list[str]
    origins: list[str]
    targets: list[str]
    limit: int | None = None


@dataclass(frozen=True)
class Wanted:
    """A translation of `record` to make, in the language `target`, with the id `id`. `text`: the text of its prompt."""

    record: Record
    target: str
    id: str
    text: str

    @property
    def pair(self) -> tuple[str, str]:
        """The languages to translate from and into."""
        return self.record.language, self.target


def words_in(record: Record) -> str:
    """The text or transcript in a record's prompt."""
    return words_of(benchmark()[record.subset].task(record.task), record.prompt)


def has_text(subset: str) -> bool:
    """Whether the subset's prompts hold a text or a transcript."""
    return any("{text}" in task.prompt or "{transcript}" in task.prompt for task in benchmark()[subset].tasks)


class Brief(NamedTuple):
    """The parts of a row that the checks of translations need. words: see words_in; made: the row's translated_from."""

    id: str
    subset: str
    split: str
    language: str
    words: str
    made: dict[str, str] | None

    @classmethod
    def of(cls, record: Record) -> "Brief":
        """The Brief of a record."""
        return cls(record.id, record.subset, record.split, record.language, words_in(record), record.translated_from)


class Standing(NamedTuple):
    """The build's training and validation rows, read once.

    ids: the ids of all rows. rows: the rows in the orders' languages. whole: the records of originals in the orders'
    subsets and source languages, by subset and split.
    """

    ids: set[str]
    rows: list[Brief]
    whole: dict[tuple[str, str], list[Record]]


def read_standing(dataset: Dataset, orders: Sequence[Order]) -> Standing:
    """Read every file of the splits SPLITS, in the build's order."""
    found = Standing(set(), [], {})
    languages = {language for order in orders for language in (*order.origins, *order.targets)}
    for split in SPLITS:
        for name in dataset.subsets(split):
            origins = {origin for order in orders if name in order.subsets for origin in order.origins}
            whole = found.whole[name, split] = []
            for one in dataset.records(name, split):
                found.ids.add(one.id)
                if one.language in languages:  # finding the words takes twice as long as reading the row
                    found.rows.append(Brief.of(one))
                if one.language in origins and one.translated_from is None:
                    whole.append(one)
    return found


def wanted_rows(seed: int, orders: Sequence[Order], originals: Sequence[Record]) -> Iterator[Wanted]:
    """Yield the translations of one split's originals that the orders request, even those that exist already.

    Texts without words are skipped.

    seed: the build's seed.
    """
    by_language: dict[str, list[Record]] = {}
    for one in originals:
        by_language.setdefault(one.language, []).append(one)
    for order in orders:
        for target, origin in product(order.targets, order.origins):
            some = by_language.get(origin, []) if origin != target else []
            for record in sample(some, order.limit, seed):
                if has_words(text := words_in(record)):
                    yield Wanted(record, target, new_id(record.id, record.language, target), text)


def asks_as_we_do(wanted: Wanted) -> bool:
    """Whether the prompt is the benchmark's template with the record's text, so that another text can replace it."""
    record = wanted.record
    task = benchmark()[record.subset].task(record.task)
    return task.ask(wanted.text, record.emotion or "") == record.prompt


def translated(wanted: Wanted, text: str, engine: TranslationEngine) -> Record:
    """The translated row: text, language, id and translated_from are new; everything else is as in the original."""
    record = wanted.record
    task = benchmark()[record.subset].task(record.task)
    prompt = {"role": "user", "content": task.ask(text, record.emotion or "")}
    return replace(
        record,
        id=wanted.id,
        language=wanted.target,
        messages=[prompt, *record.messages[1:]],
        translated_from={
            "language": record.language,
            "engine": engine.name,
            "model": engine.model(*wanted.pair),
            "version": engine.version(*wanted.pair),
        },
    )


def in_order(records: Sequence[Record]) -> list[Record]:
    """The originals in their order, followed by the translations, sorted by pair and then as their originals."""
    originals = [one for one in records if FROM not in one.id]
    pairs = {(one.language, one.translated_from["language"]) for one in records if one.translated_from}
    places: dict[str, tuple[str, str, int]] = {}
    for target, origin in sorted(pairs):
        for place, record in enumerate(originals):
            if record.language == origin:
                places[new_id(record.id, record.language, target)] = (target, origin, place)
    last = ("~", "~", 0)  # translations without their original (as in a release) come last, in their present order
    return originals + sorted((one for one in records if FROM in one.id), key=lambda one: places.get(one.id, last))
