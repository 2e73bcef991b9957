"""Text of any script, made plain before it is parsed: ASCII digits, one kind of minus, point, percent and comma."""

import re
import unicodedata

# Arabic decimal and thousands separators, percent and commas; the dashes that stand for a minus; the fraction slash.
_SIGNS = str.maketrans({"٫": ".", "٬": "", "٪": "%", "،": ",", "、": ",", "−": "-", "–": "-", "‐": "-", "‑": "-"}
                       | {"⁄": "/", "’": "'", "*": " ", "`": " ", '"': " ", "“": " ", "”": " "})  # fmt: skip
_HIDDEN = re.compile("[\u200b-\u200f\u202a-\u202e\u2066-\u2069\u061c\ufeff]")  # marks of direction: "\u200e-0.5"


def plain(text: str) -> str:
    """`text` in lower case with every decimal digit (Thai, Devanagari, full-width ...) as ASCII; Markdown dropped."""
    text = _HIDDEN.sub("", unicodedata.normalize("NFKC", text)).translate(_SIGNS).lower()
    if text.isascii():
        return text
    return "".join(str(unicodedata.decimal(mark)) if mark.isdecimal() else mark for mark in text)
