"""Where rows come from, if their corpora say so: speaker, dialogue, film, source picture, and a clip's own licence.

What a corpus's tables say is stored in DATA/origins.jsonl, not in the records: a line for each raw row whose reader
sets Example.origin, with corpus and source as its key. What the name of a raw file shows (Corpus.raw_origin) is not
stored, but read from the name. We count the origins that occur in both training and test, and move no rows, because the
splits are the corpora's own.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from data_build.corpora.find import corpora
from data_build.media.media_index import Index
from data_build.reading.corpus import Corpus
from data_build.reading.utterances import MAX_S
from data_build.rows.write import Outcome
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import split_file
from mmafflm.records import media_files, read_jsonl, read_records, write_jsonl

ORIGINS = "origins.jsonl"
QUOTED = 5  # most examples of origins in both training and test
SCENE = "dialogue, by the seconds of an episode that it shares with a dialogue of the other split"

Origin = Mapping[str, Any]
Origins = dict[tuple[str, str], Origin]  # by corpus and source
Trace = tuple[str, str]  # a row's source, and its picture or its clip's first frame ("" for text)
Traces = dict[str, dict[str, list[Trace]]]  # by subset and split
SIDES = ("train", "test")


class Span(NamedTuple):
    """The seconds of an episode that a row shows, and its dialogue."""

    episode: str
    start_s: float
    end_s: float
    dialogue: str


def read_origins(data: Path) -> Origins:
    """The origins in a build's origins.jsonl. Empty without the file: no row has an origin, or the build is old."""
    if not (data / ORIGINS).exists():
        return {}
    return {(row.pop("corpus"), row.pop("source")): row for row in read_jsonl(data / ORIGINS)}


def write_origins(data: Path, origins: Origins) -> None:
    """Write origins.jsonl; remove an earlier one when there are no origins."""
    (data / ORIGINS).unlink(missing_ok=True)
    if origins:
        rows = ({"corpus": corpus, "source": source, **origin} for (corpus, source), origin in origins.items())
        write_jsonl(data / ORIGINS, rows)


def of_outcomes(outcomes: Mapping[str, Outcome]) -> Origins:
    """The origins of a build in progress."""
    return {(name, source): of for name, outcome in outcomes.items() for source, of in outcome.origins.items()}


def stored_traces(data: Path, splits: Mapping[str, Collection[str]], origins: Origins) -> Traces:
    """The traces of subsets that have training and test rows and known origins. splits: {subset: those on disk}."""
    recorded = {name for name, _ in origins}
    return {
        subset: {
            split: [
                (record.source, next(iter(media_files(record)), ""))
                for record in read_records(data / split_file(subset, split))
            ]
            for split in SIDES
        }
        for subset, present in splits.items()
        if set(SIDES) <= set(present) and is_traced(corpora()[benchmark()[subset].corpus], recorded)
    }


def is_traced(corpus: Corpus, recorded: Collection[str]) -> bool:
    """Whether anything is known about where a corpus's rows come from. recorded: the corpora with stored origins."""
    return corpus.raw_origin is not None or corpus.name in recorded


def shared_origins(traces: Traces, index: Index, origins: Origins) -> dict[str, list[dict[str, Any]]]:
    """Count the origins in training and test of each subset: {subset: [{of, train, test, both, ...}]}; see count."""
    found = {}
    for subset, of in traces.items():
        if all(of.get(split) for split in SIDES):
            corpus = corpora()[benchmark()[subset].corpus]
            train, test = ([_origin(trace, corpus, index, origins) for trace in of[split]] for split in SIDES)
            found[subset] = count(train, test, corpus.counted_origins)
    return found


def _origin(trace: Trace, corpus: Corpus, index: Index, origins: Origins) -> dict[str, Any]:
    """A record's origin: the stored values and, where none is stored, the value in its raw file's name."""
    source, file = trace
    known = dict(origins.get((corpus.name, source), {}))
    if corpus.raw_origin and file:
        what, pattern = corpus.raw_origin
        if match := pattern.fullmatch(index[file].raw.partition("/")[2]):
            known.setdefault(what, match[1])
    return known


def count(train: list[dict[str, Any]], test: list[dict[str, Any]], kinds: Iterable[str]) -> list[dict[str, Any]]:
    """For each kind of origin: how many each split has, how many occur in both, and how many rows those have.

    A kind that is missing in training or in test is left out.

    Names are compared as written, so MELD's "All" or "Woman" counts as one speaker although it is several people.
    Each split numbers its dialogues anew, so they are compared by time in an episode, see shared_dialogues.
    """
    counted = []
    for kind in kinds:
        sides = [Counter(origin[kind] for origin in side if kind in origin) for side in (train, test)]
        if all(sides):
            both = sides[0].keys() & sides[1].keys()
            counted.append(_counted(kind, sides, [both, both]))
    spans = [[span for origin in side if (span := _span(origin))] for side in (train, test)]
    if all(spans):
        sides = [Counter(span.dialogue for span in side) for side in spans]
        counted.append(_counted(SCENE, sides, shared_dialogues(*spans)))
    return counted


def _counted(what: str, sides: list[Counter[str]], both: Iterable[Collection[str]]) -> dict[str, Any]:
    """both: the names of training that are shared with test, and those of test that are shared with training."""
    in_train, in_test = both
    return {
        "of": what, "train": len(sides[0]), "test": len(sides[1]), "both": len(in_train),
        "train_rows": sum(sides[0][name] for name in in_train), "test_rows": sum(sides[1][name] for name in in_test),
        "examples": sorted(in_train)[:QUOTED],
    }  # fmt: skip


def _span(origin: Origin) -> Span | None:
    if not all(name in origin for name in Span._fields):
        return None
    return Span(*(origin[name] for name in Span._fields))


def shared_dialogues(train: Iterable[Span], test: Iterable[Span]) -> tuple[set[str], set[str]]:
    """Dialogues of each side that show seconds of an episode that a dialogue of the other side also shows.

    We compare utterances, not whole dialogues, and ignore utterances longer than MAX_S: some rows of MELD carry the
    time of another scene, and one such row would stretch its dialogue over the whole episode.
    """
    found: tuple[set[str], set[str]] = (set(), set())
    sides = [(span, place) for place, side in enumerate((train, test)) for span in side]
    running: list[tuple[Span, int]] = []
    for span, place in sorted(sides):
        if not 0 < span.end_s - span.start_s <= MAX_S:
            continue
        running = [one for one in running if one[0].episode == span.episode and one[0].end_s > span.start_s]
        for other, its_place in running:
            if its_place != place:
                found[place].add(span.dialogue)
                found[its_place].add(other.dialogue)
        running.append((span, place))
    return found
