"""Compare language codes with langcodes: a record's es, apertium's spa and NLLB's spa_Latn are one language."""

from functools import cache

import langcodes
from langcodes.tag_parser import LanguageTagError

from mmafflm.errors import UsageFault

NEAR = 10  # langcodes' distance: Croatian and Bosnian are 8 apart, Norwegian and Danish 12, Catalan from Spanish 20
OURS = {"br": "pt-BR"}  # XED's br is Brazilian Portuguese; elsewhere br is Breton


def languages(codes: str, flag: str) -> list[str]:
    """The codes of a comma-separated list in the form that records use. Raises UsageFault for an invalid code."""
    return list(dict.fromkeys(_language(code.strip(), flag) for code in codes.split(",")))


def _language(code: str, flag: str) -> str:
    try:
        tag = langcodes.standardize_tag(code)
        known = langcodes.tag_is_valid(tag)
    except LanguageTagError:
        known = False
    if not known:
        raise UsageFault(f"{flag} {code}: not a language code such as es")
    return "no" if tag == "nb" else tag  # the benchmark's code for Norwegian


def near(theirs: str, ours: str) -> bool:
    """Whether an engine's and a record's code mean one language, or two that are nearly one (Croatian, Bosnian)."""
    return distance(theirs, ours) < NEAR


@cache
def distance(theirs: str, ours: str) -> int:
    """From 0 (the same) to 134 (also for an invalid code). theirs: an engine's code, in which br is Breton."""
    try:
        return langcodes.tag_distance(theirs, OURS.get(ours, ours))
    except LanguageTagError:
        return 134
