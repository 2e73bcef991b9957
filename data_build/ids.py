"""Ids of a translated row, such as XED/es<-en/train/000123, and of its original, here XED/en/train/000123."""

from mmafflm.benchmark.benchmark import benchmark

TRANSLATE = "translate"  # the `corpus` of translated rows in the quarantine
FROM = "<-"  # in an id, between the language of a translation and that of its original


def new_id(name: str, origin: str, target: str) -> str:
    """The id of a record's translation into `target`. name, origin: the record's id and language."""
    subset, *rest = name.split("/")
    return "/".join([subset, f"{target}{FROM}{origin}", *(rest[1:] if rest and rest[0] == origin else rest)])


def original_id(name: str) -> str:
    """The id of the record that a translation was made from; the id of an original is returned unchanged."""
    subset, *rest = name.split("/")
    if not rest or FROM not in rest[0]:
        return name
    several = subset in benchmark() and len(benchmark()[subset].languages) > 1  # only then do ids contain the language
    return "/".join([subset, *([rest[0].partition(FROM)[2]] if several else []), *rest[1:]])
