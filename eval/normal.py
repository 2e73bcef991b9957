"""Text made plain before it is parsed: the part that is marked as the answer, and one way to write digits and signs."""

import re
import unicodedata

LONGEST = 10_000
"""Characters. A longer answer, its thoughts aside, is not read; the prompts ask for fewer than 500."""

# Arabic decimal and thousands separators and percent; the dashes that serve as a minus; Markdown, brackets and quotes.
_SIGNS = str.maketrans({"٫": ".", "٬": "", "٪": "%", "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "⁄": "/"}
                       | {"’": "'", "؛": ";"} | dict.fromkeys("*`#_\"“”「」$[]{}", " "))  # fmt: skip
_PAUSES = str.maketrans(dict.fromkeys("،、，", ", ") | {"。": ". "})  # never a decimal comma or point
_HIDDEN = re.compile(
    "[\u00ad\u200b-\u200f\u202a-\u202e\u2066-\u2069\u061c\ufe0f\ufeff☀-⛿\U0001f300-\U0001faff]"
)  # no width; emoji
_SMALL = re.compile("[²³¹⁰-\u209f¼-¾⅐-↉]")  # NFKC would make 0.72 of "0.7²"
_THOUGHT, _THINKING = (re.compile(rf"<{end}think(?:ing)?>", re.IGNORECASE) for end in ("/", ""))
_BOX, _IN_BOX = re.compile(r"\\boxed ?\{|<answer>"), re.compile(r"(?:[^{}]+|\{[^{}]*\})*")
_LATEX = re.compile(r"\\[a-zA-Z]+|<\|\w{1,30}\|>|</?(?:answer|s)>")  # and what ends a turn


def plain(text: str) -> str:
    """`text` in lower case with every decimal digit (Thai, Devanagari, full-width ...) as ASCII; Markdown dropped."""
    text = _LATEX.sub(" ", _SMALL.sub("^", _HIDDEN.sub("", text))).translate(_PAUSES)
    text = unicodedata.normalize("NFKC", text).translate(_SIGNS).lower()
    if text.isascii():
        return text
    return "".join(str(unicodedata.decimal(mark)) if mark.isdecimal() else mark for mark in text)


def marked(text: str) -> list[str] | str:
    """What is boxed or fenced behind the last think block, else all that is there; or why it cannot be read."""
    text = _THOUGHT.split(text)[-1]
    if _THINKING.search(text):
        return "a think block that does not end"
    boxes = [re.match(_IN_BOX, piece.partition("</answer>")[0]) for piece in _BOX.split(text)[1:]]
    parts = [box[0] for box in boxes if box] or [text]
    fenced = [re.sub(r"^[a-z]*\n", "", piece) for part in parts for piece in part.split("```")[1::2]]
    found = [part for part in fenced or parts if part.strip()]
    if sum(len(part) + 1 for part in found) > LONGEST:
        return f"longer than {LONGEST:,} characters"
    return found or "empty"
