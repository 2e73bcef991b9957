"""Cues of affect other than words: emoji, emoticons, capitals, elongation; and @names, #tags, links, line breaks."""

import re
from collections import Counter

EMOJI = r"[\U0001F000-\U0001FAFF\u2190-\u21FF\u2300-\u27BF\u2B00-\u2BFF\u3030\u303D\u3297\u3299]"
MODIFIERS = (
    r"[\uFE0F\u200D\U0001F000-\U0001FAFF\u2600-\u27BF\U000E0020-\U000E007F]*"  # modifiers, and emoji that follow
)
FACES = r">?[:;=]['’]?[-o^]?[()\[\]dDpPxX/\\|3*oO$]+|[xX]D+|<+/?3+|\^[_.-]*\^|-_+-|[oO]_+[oO]|[tT]_+[tT]"
EMOTICON = rf"(?<![\w:])(?:{FACES})(?!\w)"
MARK = re.compile(
    r"https?://[^\s<>\"]*[\w/]|www\.[^\s<>\"]*[\w/]"  # a link, without a full stop after it
    r"|[@#]\w+"
    r"|&\#?\w+;"  # &amp; and other entities, which occur in tweets
    rf"|{EMOTICON}|{EMOJI}{MODIFIERS}"
)
BREAK = re.compile(r"(\r\n|[\n\r\v\f\x85\u2028\u2029]|\\r\\n|\\n)")  # a line break, or its escape written out: \n
LONG = re.compile(r"([^\W\d_])\1{2}")  # sooo
CAPITALS = re.compile(r"\b[^\W\d_]{3,}\b")
LETTER = re.compile(r"[^\W\d_]")


def pieces(text: str) -> list[str]:
    """Cut the text at its breaks; every second piece is a break. "".join() of the pieces gives the text."""
    return BREAK.split(text)


def has_words(text: str) -> bool:
    """Whether there is anything to translate."""
    return bool(LETTER.search(MARK.sub(" ", text)))


def lost(text: str, translation: str) -> tuple[str, str] | None:
    """The first cue of `text` that its translation lacks, as a reason and the cue; None when all are there."""
    if Counter(BREAK.findall(text)) != Counter(BREAK.findall(translation)):
        return "line breaks lost", ""
    if gone := Counter(MARK.findall(text)) - Counter(MARK.findall(translation)):
        return "a name, tag, link, emoji or emoticon lost", " ".join(sorted(gone))
    before, after = plain(text), plain(translation)
    if LONG.search(before) and not LONG.search(after):
        return "an elongation lost", ""
    if _shouted(before) and not _shouted(after) and after.upper() != after.lower():
        return "capitals lost", " ".join(_shouted(before))
    return None


def plain(text: str) -> str:
    """The text with its marks and breaks replaced by spaces."""
    return BREAK.sub(" ", MARK.sub(" ", text))


def _shouted(text: str) -> list[str]:
    """Words of three letters or more in capitals, in scripts that have capitals."""
    return [word for word in CAPITALS.findall(text) if word.isupper()]
