"""Text that another program made, fit for JSON, HTML and terminals: never too long, and always valid UTF-8."""

import re

LONGEST = 100_000  # characters of an answer that are kept: the first and the last half of them
PICTURES = 0x2400  # of the control characters, in their order
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")  # control characters; surrogates have no UTF-8


def storable(text: str, longest: int = LONGEST) -> str:
    """`text` with pictures of its control characters (NUL is ␀), � for lone surrogates, its middle cut out with a note.

    No escape such as backslash-u0000: it holds digits, which a parser of answers would read.
    """
    if len(text) > longest:
        half = longest // 2
        text = f"{text[:half]}\n[cut: {len(text) - 2 * half} of {len(text)} characters]\n{text[-half:]}"
    return _UNFIT.sub(lambda hit: "�" if hit[0] >= "\ud800" else chr(PICTURES + ord(hit[0])), text)
