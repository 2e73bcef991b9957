"""Strict mode for labels and ordinal classes, written as a number, a name, or both: "1. joy, 8. love"."""

import re
from collections.abc import Sequence

from eval.score.normalize import Unclear
from eval.score.wording import Word, cut, shape

_IGNORED = ("lead_in", "conclusion", "is", "colon", "dash", "stop", "amount")
_PROSE = re.compile(
    r"(?:other|choice|question|remark|unit) "
    r"|number (?:(?:colon|dash) )?lead_in |(number|name) dash \1 "  # "2 people"; "1-3"
)
_LIST = re.compile("(?:(?:number|name|comma|join|turn) |(?:denial|instead) (?=number|name))*")  # "joy, not 3. anger"
_VERDICT = "(?:(?:number|name) )+(?:denial (?:affirmation )?|affirmation )"  # "joy: no"; "joy is not present"
_VERDICTS = re.compile(f"(?:comma )*(?:{_VERDICT}(?:(?:comma|join|turn) )*)+")
_VERDICT_END = re.compile("denial affirmation |denial |affirmation ")
_ITEM_END = re.compile("(?:comma|join|turn|denial|instead|affirmation) ")
_ANNOUNCED = re.compile("conclusion |(?:lead_in )+(?:is|colon) ")  # "so joy"; "the answer is joy"


def labels(sentences: Sequence[Sequence[Word]], most: int) -> set[str | float]:
    """The labels that all sentences together affirm, such as the lines of a list.

    Raises Unclear for contradictions, for another label in an unclear sentence, for an amount per label, and for more
    than `most` labels.
    """
    read = [(words, _verdicts(words)) for words in sentences]
    affirmed = [{label for label, applies in found or () if applies} for _, found in read]
    announced = [at for at, (words, _) in enumerate(read) if affirmed[at] and _ANNOUNCED.match(shape(words))]
    start = announced[0] if announced else 0  # prose before the first announcement may be thoughts
    answer = set[str | float]().union(*affirmed)
    if any(affirmed[at] != affirmed[start] for at in announced) or answer != set().union(*affirmed[start:]):
        raise Unclear("answers that contradict each other")
    for words, found in read[start:]:
        if found is None:  # prose: a name always counts as a label, a number only if all words are known
            kinds = ("name",) if "other" in shape(words) else ("name", "number")
            unclear = {word.value for word in words if word.kind in kinds} - answer
        else:
            unclear = {label for label, applies in found if not applies} & answer
        if unclear:
            raise Unclear("a label in a sentence that is not clear")
        if found and len(answer) > 1 and "amount" in shape(words):
            raise Unclear("an amount for each label, and no choice")
    if len(answer) > most:
        raise Unclear(f"{len(answer)} labels, where an answer has at most {most}")
    return answer


def _verdicts(words: Sequence[Word]) -> set[tuple[str | float, bool]] | None:
    """The labels in a sentence, and whether it affirms each; None when it is prose.

    Raises Unclear for a number that is not a class, and when number and name contradict each other.
    """
    if _PROSE.search(shape(words)):
        return None
    if outside := [word.value for word in words if word.kind == "outside"]:
        raise Unclear(f"{outside[0]:g} is not one of the classes")
    words = [word for word in words if word.kind not in _IGNORED]
    for item in cut(words, _ITEM_END):
        names, numbers = (
            list(dict.fromkeys(one.value for one in item if one.kind == kind)) for kind in ("name", "number")
        )
        if names and numbers and names != numbers:  # "2. joy"
            raise Unclear("number and name contradict each other")
    found = _judged(words)
    if found is None or ("turn " in shape(words) and all(applies for _, applies in found)):  # "joy but anger"
        return None
    named, numbered = (
        {(word.value, applies) for word, applies in found if word.kind == kind} for kind in ("name", "number")
    )
    if named and not numbered <= named:  # "2, joy"
        raise Unclear("number and name contradict each other")
    return named or numbered


def _judged(words: Sequence[Word]) -> list[tuple[Word, bool]] | None:
    """Each word, and whether the sentence affirms it; None when the sentence is prose."""
    if _VERDICTS.fullmatch(shape(words)):
        return [(word, "denial" not in shape(item)) for item in cut(words, _VERDICT_END) for word in item]
    if not _LIST.fullmatch(shape(words)):
        return None
    judged, denial = list[tuple[Word, bool]](), ""
    for word in words:
        if word.kind in ("denial", "instead"):  # denies all that follows: "no joy, anger" affirms nothing
            denial = word.kind
        elif word.kind == "turn" or (word.kind == "comma" and denial == "instead"):  # "rather than joy, anger"
            denial = ""
        judged.append((word, not denial))
    return judged
