"""`mmaffin doctor`: which corpora are there, whole or in part, and how to get the rest."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from data_build.corpus import Corpus, corpora
from data_build.raw import list_raw
from mmafflm.errors import Fault, UsageFault


def examine(raw: Path) -> Iterator[tuple[str, str, str, str, str, str]]:
    """Rows of a table: corpus, state, subset and split, rows found, rows expected, how to get it.

    The state is found, in part, missing, broken, or more than expected. A corpus without its own split counts as
    "SUBSET all". Raises UsageFault when RAW is not a folder.
    """
    if not raw.is_dir():
        raise UsageFault(f"{raw}: no such folder")
    for name, corpus in corpora().items():
        folder = raw / name
        try:
            found = _count(corpus, folder) if folder.is_dir() else Counter[str]()
        except Fault as fault:
            yield name, "broken", "", "", "", str(fault)
            continue
        if not found:
            yield name, "missing", "", "0", str(sum(corpus.expected.values())), corpus.get
            continue
        for key in dict.fromkeys([*corpus.expected, *found]):
            expected = corpus.expected.get(key, 0)
            state = "found" if found[key] == expected else "in part" if found[key] < expected else "more than expected"
            yield name, state, key, str(found[key]), str(expected), "" if state == "found" else corpus.get


def _count(corpus: Corpus, folder: Path) -> Counter[str]:
    found: Counter[str] = Counter()
    for part in corpus.find(list_raw(folder), corpus.options):
        for rows in corpus.read(part, corpus.options):
            for subset, split, count in rows.examples.group_by("subset", "split").len().iter_rows():
                found[f"{subset} {split or 'all'}"] += count
    return found
