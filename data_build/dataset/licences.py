"""Decide whether a clip's own licence, as its corpus's table words it, allows us to pass on a row made from the clip.

A build stores clips cut and scaled, so a licence that allows no changed copies forbids passing them on. A licence text
with any word that we do not know counts as not allowing it.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable
from typing import NamedTuple

from data_build.corpora.find import corpora
from data_build.dataset.origins import Origin, Origins, read_origins
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import Dataset

FORBIDS, UNKNOWN, NONE = "allows no changed copies", "is not known to allow it", "is not given"
REASON = "the clip's own licence"  # followed by one of the three phrases above
_CREATIVE = {"cc", "creative", "creativecommons"}
_FIXED = {"nd", "noderivs", "noderivatives", "derivs", "derivatives", "derivative"}
_FREE = ({"cc0"}, {"cc", "zero"}, {"creative", "commons", "zero"}, {"public", "domain"}, {"publicdomain"})
_GIVEN = ({"by"}, {"attribution"})
_OTHER = """
    commons licence license licenses licensed under the a sa sharealike share alike nc noncommercial non commercial no
    mark dedication international unported generic reuse allowed universal youtube http https www org deed legalcode en
    """
_KNOWN = set().union(_CREATIVE, _FIXED, *_FREE, *_GIVEN, _OTHER.split())


class Held(NamedTuple):
    """A record that may not be passed on although other records of its corpus may."""

    corpus: str
    source: str
    licence: str  # as written; "" when unknown
    reason: str
    translated: bool


def fault(licence: str) -> str:
    """Why this licence does not allow a row to be passed on, as the end of REASON; "" when it does."""
    words = set(re.findall(r"cc0|[^\W\d_]+", licence.lower()))
    if not words:
        return NONE
    if not words <= _KNOWN:
        return UNKNOWN
    if words & _FIXED:
        return FORBIDS
    given = words & _CREATIVE and any(words >= some for some in _GIVEN)
    return "" if given or any(words >= some for some in _FREE) else UNKNOWN


def by_licence(origins: Iterable[Origin]) -> dict[str, int]:
    """The number of rows with each licence, as written, sorted by licence; rows without one are not counted."""
    return dict(sorted(Counter(str(origin["licence"]) for origin in origins if "licence" in origin).items()))


def held_back(dataset: Dataset, names: Collection[str]) -> dict[str, Held]:
    """Records of these corpora that their own licence holds back, by id. A translation has its original's licence."""
    own = [name for name in names if corpora()[name].own_licences]
    origins: Origins = read_origins(dataset.path) if own else {}
    held = {}
    for subset, of in dataset.manifest["subsets"].items():
        if (corpus := benchmark()[subset].corpus) in own:
            for split in of:
                for record in dataset.records(subset, split):
                    licence = str(origins.get((corpus, record.source), {}).get("licence", ""))
                    if reason := fault(licence):
                        made = record.translated_from is not None
                        held[record.id] = Held(corpus, record.source, licence, reason, made)
    return held
