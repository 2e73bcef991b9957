"""Language codes, mapped by langcodes: a record's es, apertium's spa and NLLB's spa_Latn are one language."""

from functools import cache

import langcodes
from langcodes.tag_parser import LanguageTagError

from mmafflm.errors import UsageFault

NEAR = 10  # langcodes' distance: Croatian and Bosnian are 8 apart, Norwegian and Danish 12, Spanish and Catalan 20
OURS = {"br": "pt-BR"}  # XED's Portuguese of Brazil; elsewhere br is Breton


def languages(codes: str, flag: str) -> list[str]:
    """The codes of a comma-separated list as records have them. Raises UsageFault for one that is none."""
    return list(dict.fromkeys(_language(code.strip(), flag) for code in codes.split(",")))


def _language(code: str, flag: str) -> str:
    try:
        tag = langcodes.standardize_tag(code)
        known = langcodes.tag_is_valid(tag)
    except LanguageTagError:
        known = False
    if not known:
        raise UsageFault(f"{flag} {code}: not a language code such as es")
    return "no" if tag == "nb" else tag  # as the benchmark writes Norwegian


def near(theirs: str, ours: str) -> bool:
    """Whether an engine's code and a record's name one language, or two that are written alike (Croatian, Bosnian)."""
    return distance(theirs, ours) < NEAR


@cache
def distance(theirs: str, ours: str) -> int:
    """From 0, the same, to 134, of which one is no code. theirs: of an engine, to which br is Breton."""
    try:
        return langcodes.tag_distance(theirs, OURS.get(ours, ours))
    except LanguageTagError:
        return 134
