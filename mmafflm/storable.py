"""Text that another program made, fit for JSON, HTML and terminals: never too long, and always valid UTF-8."""

import re

LONGEST = 100_000  # characters of an answer that are kept: the first and the last half of them
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")  # control characters; surrogates have no UTF-8


def storable(text: str, longest: int = LONGEST) -> str:
    r"""`text` with control characters and lone surrogates escaped (NUL as \u0000), its middle cut out with a note."""
    if len(text) > longest:
        half = longest // 2
        text = f"{text[:half]}\n[cut: {len(text) - 2 * half} of {len(text)} characters]\n{text[-half:]}"
    return _UNFIT.sub(lambda hit: f"\\u{ord(hit[0]):04x}", text)
