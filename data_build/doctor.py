"""`mmaffin doctor`: find out which corpora are complete, which are not, and how to get the rest."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from data_build.corpora.find import corpora
from data_build.reading.corpus import Corpus
from data_build.rows.coverage import PartCount
from data_build.sources import find_parts
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.errors import Fault, UsageFault


def examine(raw: Path) -> Iterator[tuple[str, str, str, str, str, str]]:
    """Rows of a table: corpus, state, subset and split, rows found, rows expected, how to get it or what is wrong.

    The state is "found", "in part", "missing", "broken" or "more than expected". Rows without a split count as
    "SUBSET all". Without a folder RAW every corpus is missing. Raises UsageFault when RAW is a file.
    """
    if raw.exists() and not raw.is_dir():
        raise UsageFault(f"{raw}: this is a file. --raw must be the folder with the raw corpora.")
    for name, corpus in corpora().items():
        try:
            found = _count(corpus, raw) if raw.exists() else Counter[str]()
        except Fault as fault:
            yield name, "broken", "", "", "", str(fault)
            continue
        if not found:
            yield name, "missing", "", "0", str(sum(corpus.expected.values())), corpus.get
            continue
        for key in dict.fromkeys([*corpus.expected, *found]):
            expected = corpus.expected.get(key, 0)
            state = "in part" if found[key] < expected else "found" if found[key] == expected else "more than expected"
            state = state if found[key] else "missing"
            yield name, state, key, str(found[key]), str(expected), "" if state == "found" else corpus.get


def _count(corpus: Corpus, raw: Path) -> Counter[str]:
    """Usable rows by "SUBSET SPLIT". Raises Fault when a file cannot be read or a part fails its check."""
    found: Counter[str] = Counter()
    names = [name for name, subset in benchmark().items() if subset.corpus == corpus.name]
    for part in find_parts(corpus, raw, corpus.options, names)[0]:
        count = PartCount(corpus.name, part, names)
        for rows in map(count.add, corpus.read(part, corpus.options)):
            for subset, split, number in rows.examples.group_by("subset", "split").len().iter_rows():
                found[f"{subset} {split or 'all'}"] += number
        count.check()
    return found
