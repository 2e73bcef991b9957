"""Strict mode for labels and ordinal classes: "1. joy, 8. love", by number, by name, or both, and never by accident."""

import re
from bisect import bisect_left
from collections.abc import Mapping

from eval.wording import Words

_FORM = re.compile(r"[fbcnNajdyt,.;-]+")
_PAIR = re.compile(r"(n)[.c-]*(N)|(N)[c-]?(n)(?![.c-]*N)")  # "1. joy", "(1) joy"; "joy (1)", "joy: 1"
_PROSE = re.compile(r"n-n|N-N|n[.c]?f|^[^d]*t(?!d)")  # a range; "2 texts", a count; a "but" without a "not"
_DENIED = re.compile(
    r"(?:n[.c-]*)?N(?:[c-]?n)?[fy]*[bc-]?d(?!f*[Nn])"
)  # "joy: no", "joy is not present": behind the name
_ENDS = re.compile(r"[t;]|(?<!n)\.")  # of a denial


def labels_in(words: Words, classes: Mapping[float, str | int]) -> list[str | float] | str | None:
    """The labels that a sentence names, each once; why they do not count; None when it is prose, or denies all.

    classes: number -> label.
    """
    if not _FORM.fullmatch(words.shape) or _PROSE.search(words.shape):
        return None
    for pair in _PAIR.finditer(words.shape):
        number, name = (1, 2) if pair[1] else (4, 3)
        if classes.get(float(words.values[pair.start(number)])) != words.values[pair.start(name)]:
            return "number and name contradict each other"
    kept = [place for place in _affirmed(words) if words.shape[place] in "nN"]
    named = dict.fromkeys(words.values[place] for place in kept if words.shape[place] == "N")
    numbers = [float(words.values[place]) for place in kept if words.shape[place] == "n"]
    if outside := [number for number in numbers if number not in classes]:
        return f"{outside[0]:g} is not one of the classes"
    numbered = dict.fromkeys(classes[number] for number in numbers)
    if named and not numbered.keys() <= named.keys():
        return "number and name contradict each other"
    found = list(named or numbered)
    return "an amount for each label, and no choice" if "a" in words.shape and len(found) > 1 else found or None


def _affirmed(words: Words) -> list[int]:
    """The places of the words that no denial takes back."""
    behind = {hit.end() - 1: hit.start() for hit in _DENIED.finditer(words.shape)}
    ends = {hit.start() for hit in _ENDS.finditer(words.shape)}
    kept, denial = list[int](), ""  # a denial reaches over all that follows: "no joy, anger" names nothing
    for place, kind in enumerate(words.shape):
        if place in behind:
            del kept[bisect_left(kept, behind[place]) :]
        elif kind == "d":
            denial = str(words.values[place])
        elif place in ends or (kind == "," and " " in denial):  # "rather than joy, anger"
            denial = ""
        elif not denial:
            kept.append(place)
    return kept
