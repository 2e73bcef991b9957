"""Decide the encoding of a raw text by evidence: a BOM, UTF-8, then GB 18030 or cp1252 if the text looks like it.

Any bytes decode in a single-byte encoding, and many decode in GB 18030, so decoding alone proves nothing. We check
whether the characters are those that a text in that encoding consists of, and refuse every other text.
"""

import codecs
import re
from collections import Counter
from collections.abc import Sequence

from mmafflm.errors import Fault

_MARKS = [
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, because its BOM begins with UTF-16's
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]
_CP1252_SIGNS = set("\u00a0‘’“”–—…•™€¡¿«»£©®°½")
# The signs of row 0xA1 that occur in texts. Other signs of that row, such as U+02C7, have the bytes of Big5's quotes.
_CHINESE_SIGNS = set("\u3000、。·–—～…‘’“”〔〕〈〉《》「」『』〖〗【】±×÷℃§№☆★○●◎◇◆□■△▲※→←↑↓〓")
_ENOUGH = 0.9  # the share of the characters beyond ASCII that must fit the encoding
# C1 controls are cp1252 bytes that were decoded as latin-1. The five bytes that cp1252 does not define are kept.
C1 = {code: bytes([code]).decode("cp1252", "ignore") or chr(code) for code in range(0x80, 0xA0)}


def decode(data: bytes, name: str, also: Sequence[str] = ()) -> str:
    """Decode a text without its BOM. If all line ends are CR, they become LF; otherwise line ends are kept.

    also: "cp1252" for a corpus in a Western language; for others, cp1252 cannot be distinguished from other code pages.
    name: the file's name, for messages. Raises Fault when the encoding is unknown or the bytes contradict the BOM.
    """
    text = _decoded(data, name, also)
    return text.replace("\r", "\n") if "\r" in text and "\n" not in text else text


def _decoded(data: bytes, name: str, also: Sequence[str]) -> str:
    encoding = next((encoding for mark, encoding in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding == "utf-8":
            for candidate, looks_right in (("gb18030", _is_chinese), ("cp1252", _is_western)):
                if candidate == "gb18030" or candidate in also:
                    text = data.decode(candidate, "replace")
                    if "\ufffd" not in text and looks_right(text):
                        return text
        raise _refused(error, name, encoding) from None
    if text.count("\0") > len(text) // 10:
        raise Fault(f"{name}: over a tenth of its characters are NUL, as in UTF-16 without a BOM. Save it as UTF-8.")
    return text


def _refused(error: UnicodeDecodeError, name: str, encoding: str) -> Fault:
    line = error.object[: error.start].count(b"\n") + 1
    if encoding != "utf-8":
        return Fault(f"{name}:{line}: not {encoding.upper().removesuffix('-SIG')}, as its BOM says. Download it again.")
    return Fault(
        f"{name}:{line}: not UTF-8 (byte {error.object[error.start]:#04x}), and not clearly another encoding. "
        "Save the file as UTF-8, or download it again."
    )


def _is_chinese(text: str) -> bool:
    """Whether nearly all characters beyond ASCII are Chinese characters and signs of GB 2312, the core of GB 18030.

    GB 2312 also has Cyrillic, Greek and kana, but a text of these is not Chinese. A text in EUC-KR is not Chinese
    either: its syllables all decode to characters with a first byte up to 0xC8, while in a Chinese text half of the
    characters have a higher first byte.
    """
    characters = {char: rows for char, rows in Counter(text).items() if char > "\x7f"}
    firsts: Counter[int] = Counter()
    for char, rows in characters.items():
        code = char.encode("gb18030")
        if char in _CHINESE_SIGNS or (len(code) == 2 and code[1] >= 0xA1):
            firsts[0 if char in _CHINESE_SIGNS else code[0]] += rows
    core = sum(rows for first, rows in firsts.items() if first in (0, 0xA2, 0xA3, 0xA8) or 0xB0 <= first <= 0xF7)
    hanzi = sum(rows for first, rows in firsts.items() if first >= 0xB0)
    late = sum(rows for first, rows in firsts.items() if first > 0xC8)
    return core >= _ENOUGH * sum(characters.values()) and (hanzi < 10 or late >= hanzi / 20)


def _is_western(text: str) -> bool:
    """Whether nearly all characters beyond ASCII are letters and signs of cp1252, and most of them occur singly.

    In another single-byte alphabet, such as Cyrillic, a word would be a run of such characters.
    """
    beyond = [char for char in text if char > "\x7f"]
    known = sum(1 for char in beyond if char in _CP1252_SIGNS or (char.isalpha() and "À" <= char <= "ÿ"))
    known -= len(re.findall("(?<=[A-Za-z])[À-ÖØ-Þ](?=[a-z])", text))  # an apostrophe of Mac OS Roman looks like this
    in_runs = sum(len(run) for run in re.findall(r"[^\W\d_\x00-\x7f]{2,}", text))
    return known >= _ENOUGH * len(beyond) and in_runs <= len(beyond) / 2
