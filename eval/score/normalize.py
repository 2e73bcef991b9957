"""Normalizes answers for strict mode: finds the part that is marked as the answer, and unifies digits and signs."""

import re
import unicodedata
from functools import cache

LONGEST = 10_000
"""The most characters of an answer without its think blocks. A longer answer is not parsed; the answers that the
prompts ask for have fewer than 500."""

# Arabic decimal and thousands separators and percent; dashes used as a minus; Markdown, brackets and quotes.
_SIGNS = str.maketrans({"٫": ".", "٬": "", "٪": "%", "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "⁄": "/"}
                       | {"’": "'", "؛": ";"} | dict.fromkeys("*`#_\"“”「」$[]{}", " "))  # fmt: skip
_PAUSES = str.maketrans(dict.fromkeys("،、，", ", ") | {"。": ". "})  # none of these marks is a decimal separator
_HIDDEN = re.compile(
    "[\u00ad\u200b-\u200f\u202a-\u202e\u2066-\u2069\u061c\ufe0f\ufeff☀-⛿\U0001f300-\U0001faff]"
)  # characters without width, and emoji
_SMALL = re.compile("[²³¹⁰-\u209f¼-¾⅐-↉]")  # NFKC would turn "0.7²" into 0.72
_THOUGHT, _THINKING = (re.compile(rf"<{end}think(?:ing)?>", re.IGNORECASE) for end in ("/", ""))
_BOX, _IN_BOX = re.compile(r"\\boxed ?\{|<answer>"), re.compile(r"(?:[^{}]+|\{[^{}]*\})*")  # "\boxed{\text{0.7}}"
_LATEX = re.compile(r"\\[a-zA-Z]+|<\|\w{1,30}\|>|</?(?:answer|s)>")  # "\text"; end-of-turn tokens such as <|...|>
_BLANKS = re.compile(r"[^\S\n]+")
_MARKER = re.compile(r"(^|[.;!] )(\d+)\. ", re.MULTILINE)  # in "1. He smiles", "1." is a list marker, not a sentence
_FULL_STOP = re.compile(r"\.(?=[^\W\d_])")  # "1.joy"
_MINUS = re.compile(r"(?:\b(?:negative|minus|menos) |负 ?)-?(?=\.?\d)")  # "negative 0.4"
_PLUS = re.compile(r"(?:\b(?:positive|plus) |正 ?)(?=\.?\d)")
_APART = re.compile(r"((?:^|[:=\n]|\bis) ?)- (?=\.?\d)")  # "is - 0.4" is negative, "score - 0.4" is not
_BULLET = re.compile(r"^ ?- (?=\d*\D)", re.MULTILINE)  # "- 1. joy"


class Unclear(Exception):
    """The text has no admissible answer. The message is the reason."""


def plain(text: str) -> str:
    """`text` in lower case, without Markdown, LaTeX commands and emoji. All decimal digits (Thai, ...) become ASCII."""
    text = _LATEX.sub(" ", _SMALL.sub("^", _HIDDEN.sub("", text))).translate(_PAUSES)
    text = unicodedata.normalize("NFKC", text).translate(_SIGNS).lower()
    if text.isascii():
        return text
    return "".join(str(unicodedata.decimal(mark)) if mark.isdecimal() else mark for mark in text)


def marked(text: str) -> list[str]:
    r"""The parts of the answer that are marked: in \boxed, <answer> or a code fence, after the last think block.

    Without such parts, the whole text after the last think block. Raises Unclear when the found parts are empty or too
    long together, or a think block does not end.
    """
    text = _THOUGHT.split(text)[-1]
    if _THINKING.search(text):
        raise Unclear("a think block that does not end")
    boxes = [re.match(_IN_BOX, piece.partition("</answer>")[0]) for piece in _BOX.split(text)[1:]]
    parts = [box[0] for box in boxes if box] or [text]
    fenced = [re.sub(r"^[a-z]*\n", "", piece) for part in parts for piece in part.split("```")[1::2]]
    found = [part for part in fenced or parts if part.strip()]
    if sum(len(part) + 1 for part in found) > LONGEST:
        raise Unclear(f"longer than {LONGEST:,} characters")
    if not found:
        raise Unclear("empty")
    return found


def rewritten(text: str, low: float, high: float | None) -> str:
    """A plain() text without list markers. For numbers, words for signs become signs and the scale is removed.

    low, high: the ends of the scale. high is None for labels.
    """
    text = _BLANKS.sub(" ", text).strip()
    text = _MARKER.sub(r"\1\2: ", text)
    text = _FULL_STOP.sub(": ", text)
    if high is not None:
        text = _scale(low, high).sub(" ", text)
        text = _MINUS.sub("-", text)
        text = _PLUS.sub("+", text)
    if high is not None or low < 0:
        text = _APART.sub(r"\1-", text)
    return _BULLET.sub("", text)


@cache
def _scale(low: float, high: float) -> re.Pattern[str]:
    """Matches a mention of the whole scale ("on a scale of 0 to 1"), or of its top after a value ("/1", "out of 1")."""
    low_text, high_text = (rf"{re.escape(f'{end:g}')}(?:\.0+)?(?!\w|[.,]\d)" for end in (low, high))
    lead = r"(?:\bon )?(?:\ba |\bthe )?(?:\bscale )?(?:\bof |\bfrom |\bbetween )?"
    meaning = r"(?: ?\([^()\d]*\))?"  # "0 (least) to 1 (most)"
    whole = rf"{lead}(?<![\w.,\-+]){low_text}{meaning} ?(?:to|and|through|-|~) ?\+?{high_text}{meaning}"
    return re.compile(rf"{whole}|(?<=\d) ?(?:/|(?:out )?of) ?{high_text}")
