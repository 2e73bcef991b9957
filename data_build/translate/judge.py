"""Judge whether a translation may be used: it may have lost something, be no translation or be in another language."""

from functools import cache
from typing import Any

from data_build.translate import marks
from data_build.translate.languages import OURS, near
from mmafflm.benchmark.benchmark import benchmark

MOST_RATIO, GRACE_BYTES = 4.0, 16  # of UTF-8 bytes, either way: Russian takes twice English's, Hindi three times
SURE = 0.5  # probability above which another language is believed; most subtitles are too short for a higher one
SURER_THAN_TARGET = 0.25  # ... above which the original's language is believed, if likelier than the target


def fault(text: str, translation: str, origin: str, target: str) -> tuple[str, str] | None:
    """Why this translation must not be used, as a reason and a detail; None when it may be used."""
    if not translation.strip():
        return "empty", ""
    if translation.casefold().split() == text.casefold().split():
        return "untranslated", ""
    if loss := marks.lost(text, translation):
        return loss
    before, after = len(text.encode()), len(translation.encode())
    if max(before, after) > MOST_RATIO * min(before, after) + GRACE_BYTES:
        return "absurd length", f"{before} and {after} bytes"
    return _other_language(text, translation, origin, target)


def _other_language(text: str, translation: str, origin: str, target: str) -> tuple[str, str] | None:
    names = {word for word in text.split() if word.istitle()}  # otherwise "Tienen Johnny." counts as Finnish
    words = " ".join(word for word in marks.plain(translation).split() if word not in names).lower()
    ranked = [(one, share) for one, share in _identifier().rank(words) if _expected(one, origin, target)]
    total = sum(share for _, share in ranked)
    of_origin = sum(share for one, share in ranked if near(one, origin)) / total
    of_target = sum(share for one, share in ranked if near(one, target)) / total
    best, probability = ranked[0][0], ranked[0][1] / total
    if not of_target or near(best, target):  # of_target is 0 when the model does not know the target language
        return None
    if probability > SURE or (of_origin > SURER_THAN_TARGET and of_origin > of_target):
        return "wrong language", f"{best} {probability:.2f}, {target} {of_target:.2f}"
    return None


@cache
def _expected(one: str, origin: str, target: str) -> bool:
    """Whether a language is in the pair or the benchmark. Among the model's 130, Spanish often looks Extremaduran."""
    known = {OURS.get(name, name) for subset in benchmark().values() for name in subset.languages}
    return one in known or near(one, origin) or near(one, target)


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
