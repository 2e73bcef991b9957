"""Strict mode for label sets: "1. joy, 8. love", by number, by name, or both, and never by accident."""

import re
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from mmafflm.grammar import Labels

_NEGATORS = (
    r"not|no|never|without|neither|nor|none|nothing|cannot|hardly|barely|lacks?|lacking|absence|than|instead|except|"
    r"excluding|non|\w+n't|isnt|doesnt|dont"
)
_TURNS = "but|however|yet|though|although"  # a negation ends here
_JOINS = {"and", "or", "nor", ","}  # a negation goes on: "no joy, fear or anger" names nothing
_REACH = 4  # words that a negation reaches over: "not a sign of any joy"
_FILLER = frozenset(  # beside these words a bare number is still the answer: "The answer is 3"
    re.split(
        " ",
        "a an the answer answers is are label labels class classes category emotion emotions option number and "
        "i choose select selected selection my final would be it this text image video sentiment polarity of b c",
    )
)
_ANSWER = re.compile(r"\banswers?\s*(?:is\b|are\b|:)")
_DENIED = re.compile(r"\s*(?:[:=?]\s*|\s(?:is|are|was)\s+)(?:no|not|none|absent|false)\b|\s+(?:is|are|was)n't\b")
_NEGATORS_ZH = re.compile(r"(?:不|没有?|没|非|未|无|無)[是会太很感到]{0,3}$")
_LINK = re.compile(r"\s*[.:)\]\-=]*\s*[(\[']?\s*")  # between the number and the name of one label
_LINK_BACK = re.compile(r"\s*[(\[:=]\s*")  # between a name and the number behind it


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # name, number, amount, negator, turn, comma, stop, word
    text: str
    start: int
    end: int


@cache
def _names(grammar: Labels) -> dict[str, str]:
    """Every name of the set -> canonical name."""
    return {name: label.name for label in grammar.labels for name in (label.name, *label.aliases)}


def _name_pattern(name: str, names: dict[str, str]) -> str:
    words = re.escape(name).replace(r"\ ", r"\s+").replace("/", r"\s*/\s*")
    if not name.isascii():
        return words  # Chinese has no spaces between words
    # A name that only begins the canonical one ("other" of "other emotions") must end its item, unlike "other reasons".
    end = r"(?=\s*(?:[,.;)]|$))" if names[name].startswith(name + " ") else r"(?!\w|-\w)"
    return rf"(?<!\w)(?<![^\W\d]-){words}{end}"


@cache
def _tokens(grammar: Labels) -> re.Pattern[str]:
    names = _names(grammar)
    longest_first = sorted(names, key=len, reverse=True)
    chinese = "|".join(name for name in longest_first if not name.isascii()) or "(?!)"
    kinds = {
        "name": "|".join(_name_pattern(name, names) for name in longest_first),
        "amount": r"(?<![\w.])[-+]?(?:\d+\.\d*[1-9]\d*|\d+(?:\.\d+)?(?=\s?%))(?!\w)",
        "number": r"(?<![\w.\-+])[-+]?\d+(?:\.0+)?(?!\w|\.\d)",
        "negator": rf"\b(?:{_NEGATORS})\b",
        "turn": rf"\b(?:{_TURNS})\b",
        "comma": ",",
        "stop": r"[.;!?\n:]",
        "word": rf"(?:(?!{chinese})[\w'])+",
    }
    return re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in kinds.items()))


def read_labels(grammar: Labels, text: str) -> list[str] | str:
    """The canonical labels of a plain()ed text in class order, or the reason why there is none."""
    cues = list(_ANSWER.finditer(text))
    if cues and text[cues[-1].end() :].strip(" .:"):
        text = text[cues[-1].end() :]
    tokens = [_Token(str(hit.lastgroup), hit.group(), *hit.span()) for hit in _tokens(grammar).finditer(text)]
    denied = _denied(tokens, text)
    kept = [token for token in tokens if token.start not in denied]
    by_number = {float(label.number): label.name for label in grammar.labels}
    named: dict[int, str] = {  # where a name starts -> canonical name
        token.start: _names(grammar)[_spelled(token.text)] for token in kept if token.kind == "name"
    }
    paired = _pairs(tokens, text)
    for number, name in paired.items():
        if name.start in named and by_number.get(float(number.text)) != named[name.start]:
            return f"number and name contradict each other ({number.text} and {name.text})"
    if len(set(named.values())) > 1 and any(token.kind == "amount" for token in tokens):
        return "an amount for each label, and no choice"
    alone = [token for token in kept if token.kind == "number" and token not in paired]
    chosen = _with_bare_numbers(tokens, alone, set(named.values()), len(named) == len(paired), by_number)
    if isinstance(chosen, str):
        return chosen
    if not chosen:
        return "no label"
    if len(chosen) > grammar.most:
        return f"{len(chosen)} labels where at most {grammar.most} may stand"
    return grammar.sort(sorted(chosen))


def _spelled(name: str) -> str:
    """A matched name with the spaces that the label set has."""
    return re.sub(r"\s*/\s*", "/", re.sub(r"\s+", " ", name))


def _pairs(tokens: list[_Token], text: str) -> dict[_Token, _Token]:
    """number -> the name that belongs to it: "1. joy", "1) joy", "joy (1)". The name behind the number comes first."""
    words = [token for token in tokens if token.kind != "stop"]
    pairs = {
        left: right
        for left, right in pairwise(words)
        if (left.kind, right.kind) == ("number", "name") and _LINK.fullmatch(text[left.end : right.start])
    }
    for left, right in pairwise(words):
        back = (left.kind, right.kind) == ("name", "number") and right not in pairs and left not in pairs.values()
        if back and _LINK_BACK.fullmatch(text[left.end : right.start]):
            pairs[right] = left
    return pairs


def _denied(tokens: list[_Token], text: str) -> set[int]:
    """Starts of the names and numbers that a negation takes back."""
    denied: set[int] = set()
    reach = 0
    before = ""  # kind of the token before
    spent = 0  # where a negation behind a name ends: in "joy: no, sadness: yes" it does not reach forward
    for token in tokens:
        if token.kind == "negator":
            reach = _REACH if token.start >= spent else 0
        elif token.kind == "turn" or (token.kind == "stop" and before != "number"):
            reach = 0
        elif token.kind == "comma" and before == "word":
            reach = 0  # "not sure, joy"
        elif token.kind == "number" and before in ("comma", ""):
            reach = 0  # "not joy, 2. sadness": a new item
        elif token.kind == "word" and token.text not in _JOINS:
            reach = max(0, reach - 1)
        behind = _DENIED.match(text, token.end) if token.kind == "name" else None
        spent = behind.end() if behind else spent
        chinese = token.kind == "name" and _NEGATORS_ZH.search(text[max(0, token.start - 6) : token.start])
        if token.kind in ("name", "number") and (reach or behind or chinese):
            denied.add(token.start)
        before = token.kind
    return denied


def _with_bare_numbers(
    tokens: list[_Token], alone: list[_Token], names: set[str], all_paired: bool, by_number: dict[float, str]
) -> set[str] | str:
    """The names, and the labels of numbers without a name where these are the answer and not a part of prose."""
    is_list = all(token.kind != "word" or token.text in _FILLER for token in tokens)
    if not is_list:  # "There are 2 people full of joy"; but "2. The text shows joy" leads with its answer
        alone = [token for token in alone if names and token is tokens[0]]
    numbers = {by_number.get(float(token.text)) for token in alone}
    if names and not all_paired and numbers - names:
        return "number and name contradict each other"
    if None in numbers:
        return "a number outside the label set"
    return names | {name for name in numbers if name}
