"""Make another program's text fit for JSON, HTML and terminals: of limited length, and always valid UTF-8."""

import re

LONGEST = 100_000  # characters of an answer that are kept: half from its start, half from its end
PICTURES = 0x2400  # the first of Unicode's symbols for control characters, in the order of the characters
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")  # control characters; surrogates have no UTF-8


def storable(text: str, longest: int = LONGEST) -> str:
    """Replace control characters and lone surrogates in `text`, and cut the middle out of a long text.

    A control character becomes its Unicode symbol (␀ for NUL), a lone surrogate becomes �. A note in place of the
    middle says how much was cut. Escapes such as backslash-u0000 are not used, because a parser of answers would read
    their digits.
    """
    if len(text) > longest:
        half = longest // 2
        text = f"{text[:half]}\n[cut: {len(text) - 2 * half} of {len(text)} characters]\n{text[-half:]}"
    return _UNFIT.sub(lambda hit: "�" if hit[0] >= "\ud800" else chr(PICTURES + ord(hit[0])), text)
