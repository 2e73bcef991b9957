"""Judge whether a translation may be used: it may have lost something, be untranslated or be in another language."""

from functools import cache
from typing import Any

from data_build.translate import marks
from data_build.translate.languages import OURS, near
from mmafflm.benchmark.benchmark import benchmark

# The longer text may have MOST_RATIO times the UTF-8 bytes of the other: Russian needs twice as many as English, Hindi
# three times.
MOST_RATIO, GRACE_BYTES = 4.0, 16
SURE = 0.5  # reject at a higher probability of another language; most subtitles are too short for a higher one
SURER_THAN_TARGET = 0.25  # reject at a higher probability of the original's language, if it is above the target's


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
    """Whether a language is in the pair or the benchmark. Others confuse: Spanish is often taken for Extremaduran."""
    known = {OURS.get(name, name) for subset in benchmark().values() for name in subset.languages}
    return one in known or near(one, origin) or near(one, target)


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
