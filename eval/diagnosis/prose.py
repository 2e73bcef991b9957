"""Find the language of an answer's prose: by the script of its letters, and for Latin letters by its function words.

This is a heuristic for counting only: no library for language identification is small enough to be a dependency of the
core, and an answer is mostly a label. The text without the labels counts as prose if it has three words or more (in
Chinese, Japanese or Thai, four letters or more).
"""

import re
import unicodedata
from collections import Counter
from functools import cache

from eval.run.no_answer import reason_of
from eval.score.normalize import LONGEST, plain
from mmafflm.benchmark.benchmark import Task
from mmafflm.benchmark.grammar import Labels, Number, Ordinal, Vad

NONE, LATIN = "none", "Latin"
_WORDS, _CHARACTERS = 3, 4
# Function words of each language. A text is in the language of which it has the most function words, if these are at
# least one in eight of its words.
_FUNCTION_WORDS = {
    "en": "the of and is in to a that this it with as for are not i emotion text answer sentiment score because",
    "de": "der die das und ist nicht ein eine mit ich auf für den dem zu wird von sich",
    "es": "el los las una que por con es del y se como más pero está este esta muy porque hay lo",
    "fr": "le les des et est une dans pour qui pas avec sur ce cette sont très que je plus mais",
    "it": "il di che è della con non gli sono nel una per più questo molto perché anche ma",
    "pt": "o os uma não com em para do da que é mais ao muito este isso mas",
    "nl": "het een van en niet dat zijn met voor op de deze wordt",
    "pl": "w na nie się jest z że do i jak to oraz ale co bardzo",
    "cs": "je se na že v s jako pro není tento",
    "sv": "och att det är som på en för inte av med",
    "fi": "ja on ei se että hän mutta ovat tämä",
    "hu": "a az és hogy nem egy van ez meg",
    "tr": "ve bir bu için ile çok değil da de",
    "ro": "și este nu de la un pe care cu din",
}  # fmt: skip
_SETS = {language: frozenset(words.split(" ")) for language, words in _FUNCTION_WORDS.items()}
_SCRIPTS = {"CJK": "Han", "HIRAGANA": "Kana", "KATAKANA": "Kana"}  # first word of a character's name -> its script


@cache
def script_of_letter(letter: str) -> str | None:
    """The script of one character, from its Unicode name: Latin, Cyrillic, Arabic, Han ...; None if not a letter."""
    if not letter.isalpha():
        return None
    first = unicodedata.name(letter, "?").split(" ")[0].split("-")[0]
    return _SCRIPTS.get(first, first.capitalize())


def script(text: str) -> str:
    """The most frequent script of a text's letters; "none" without letters. With any Kana, Han counts as Kana."""
    counts = Counter(found for letter in text if (found := script_of_letter(letter)))
    if counts["Kana"]:
        counts["Kana"] += counts.pop("Han", 0)
    return max(counts, key=lambda name: (counts[name], name)) if counts else NONE


def language_of_prose(task: Task, text: str) -> str:
    """The language of an answer's prose ("en", "de", ...), or its script; "none" if the answer has no prose.

    "Latin" is returned for an unknown language in Latin letters.
    """
    rest = _answer_words(task).sub(" ", plain("" if reason_of(text) is not None else text[:LONGEST]))
    kind = script(rest)
    if kind in ("Han", "Kana", "Thai"):
        return kind if sum(script_of_letter(letter) == kind for letter in rest) >= _CHARACTERS else NONE
    words = re.findall(r"[^\W\d_]+", rest)
    if len(words) < _WORDS:
        return NONE
    if kind != LATIN:
        return kind
    hits = {language: sum(word in known for word in words) for language, known in _SETS.items()}
    best = max(hits, key=lambda language: hits[language])  # of equal counts, the first language wins
    return best if hits[best] * 8 >= len(words) else LATIN


@cache
def _answer_words(task: Task) -> re.Pattern[str]:
    """A pattern for the words of an admissible answer: labels, the texts of classes, dimensions, emotions."""
    grammar = task.grammar
    match grammar:
        case Labels():
            names = [name for label in grammar.labels for name in (label.name, *label.aliases)]
        case Ordinal():
            names = [words.format(emotion=one) for _, words in grammar.classes for one in (*task.emotions, "emotion")]
        case Vad():
            names = list(grammar.dimensions)
        case Number():
            names = []
    longest_first = sorted([*names, *task.emotions], key=len, reverse=True)
    return re.compile("|".join(rf"(?<![^\W\d_]){re.escape(name)}(?![^\W\d_])" if name.isascii() else re.escape(name)
                               for name in longest_first) or "(?!)")  # fmt: skip
