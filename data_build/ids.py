"""The id of a translated row, and of the row that it was made of: XED/es<-en/train/000123, XED/en/train/000123."""

from mmafflm.benchmark.benchmark import benchmark

TRANSLATE = "translate"  # in the quarantine, in the place of a corpus
FROM = "<-"  # what it was made of stands behind it


def new_id(name: str, origin: str, target: str) -> str:
    """The id of a record's translation. name, origin: the record's id and language."""
    subset, *rest = name.split("/")
    return "/".join([subset, f"{target}{FROM}{origin}", *(rest[1:] if rest and rest[0] == origin else rest)])


def original_id(name: str) -> str:
    """The id of the record that a translation was made of; an original's is its own."""
    subset, *rest = name.split("/")
    if not rest or FROM not in rest[0]:
        return name
    several = subset in benchmark() and len(benchmark()[subset].languages) > 1  # an id names the language only then
    return "/".join([subset, *([rest[0].partition(FROM)[2]] if several else []), *rest[1:]])
