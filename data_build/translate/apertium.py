"""The engine apertium: rules and dictionaries from Debian's packages (apertium-eng-spa), run as a subprocess.

All rows of a batch go through one pipe. Each row ends with a NUL, at which every stage of the pipe flushes (option -z),
so that no row affects another. Apertium does not change text between [ and ], so we keep names, tags, links and emoji
in brackets.
"""

import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from data_build.translate.languages import near
from data_build.translate.marks import MARK
from mmafflm.errors import Fault, UsageFault

KEPT = re.compile(
    rf"{MARK.pattern}|(?:^|(?<=\s))-+\s|~+"
)  # also a speaker's dash, after which apertium treats "I" as a name, and ~, which it drops
SPECIAL = re.compile(r"[\^$/@<>\[\]{}\\]")  # characters with a meaning in apertium's stream format
LONGEST_S = 600  # for a batch, which normally takes seconds
INSTALL = "apt-get install apertium apertium-eng-spa"
# Debian 13's packages of pairs among the benchmark's languages, and the directions that each contains (from dpkg -c)
PACKAGES = {
    "apertium-eng-spa": "eng-spa spa-eng",
    "apertium-es-pt": "es-pt es-pt_BR pt-es",
    "apertium-es-ro": "ro-es",
    "apertium-fr-es": "es-fr fr-es",
    "apertium-hbs-eng": "eng-hbs eng-hbs_BS eng-hbs_HR eng-hbs_SR hbs-eng",
    "apertium-hbs-slv": "hbs-slv slv-hbs slv-hbs_BS slv-hbs_HR slv-hbs_SR",
    "apertium-spa-ita": "ita-spa spa-ita",
    "apertium-swe-nor": "nno-swe nob-swe swe-nno swe-nob",
    "apertium-urd-hin": "hin-urd urd-hin",
}


class Apertium:
    """Translates every pair that is installed."""

    name = "apertium"
    batch = 400  # starting the pipe takes half a second, translating 400 subtitles a second or two
    workers = 2  # each runs a pipe of eleven processes

    def __init__(self) -> None:
        """Raises UsageFault when apertium is not installed."""
        if not shutil.which("apertium"):
            raise UsageFault(f"--engine apertium: it is not installed. On Debian or Ubuntu: {INSTALL}")
        self.modes = _modes()

    def model(self, origin: str, target: str) -> str:
        """Apertium's own name for the pair."""
        return self.mode(origin, target)

    def require(self, origin: str, target: str) -> None:
        """Raises UsageFault, with a list of the installed pairs, when none from origin to target is installed."""
        self.mode(origin, target)

    def mode(self, origin: str, target: str) -> str:
        """Apertium's own name for the pair, such as eng-spa. Raises UsageFault when no such pair is installed.

        Of several variants, the one of the target language is used, such as eng-hbs_HR for Croatian and es-pt_BR for
        Brazilian Portuguese (br), or else the one without a variant.
        """
        fits = _fitting(self.modes, origin, target)
        if not fits:
            raise UsageFault(
                f"--engine apertium: no pair from {origin} to {target}. Installed: {', '.join(self.modes) or 'none'}. "
                f"{_where(origin, target)}"
            )
        return min(fits, key=lambda mode: (not mode.endswith(f"_{target.upper()}"), len(mode), mode))

    def version(self, origin: str, target: str) -> str:
        """The versions of apertium and of the pair's package."""
        return _version(self.mode(origin, target))

    def translate(self, texts: Sequence[str], origin: str, target: str) -> list[str]:
        """Translate all texts in one call of apertium. Raises Fault when apertium fails for a single text.

        If apertium drops the end mark of a row (a few odd signs cause this), all rows after it are shifted. So each row
        is sent with its number, and if a number is missing, each half of the rows is sent again. A row whose number is
        missing even when it is sent alone has an empty translation.
        """
        sent = "".join(f"{encode(text, number)}\0" for number, text in enumerate(texts))
        command = ["apertium", "-z", "-u", "-f", "none", self.mode(origin, target)]
        try:
            rows = _run(command, sent).split("\0")
        except Fault:
            if len(texts) == 1:
                raise
            rows = []
        if len(rows) >= len(texts) and all(rows[place].endswith(_end(place)) for place in range(len(texts))):
            return [decode(row, text) for row, text in zip(rows, texts, strict=False)]
        half = len(texts) // 2
        if not half:
            return [""]
        return self.translate(texts[:half], origin, target) + self.translate(texts[half:], origin, target)


def encode(text: str, number: int = 0) -> str:
    """A text in apertium's stream format: everything that apertium must not change is replaced by a number in brackets.

    The row's own number comes last. Without a bracket there, apertium would drop the last full stop.
    """
    out, start = [], 0
    for place, match in enumerate(KEPT.finditer(text)):
        out += [_escaped(text[start : match.start()]), f"[{place}]"]
        start = match.end()
    return "".join([*out, _escaped(text[start:]), _end(number)]).replace("\0", " ")


def decode(row: str, text: str) -> str:
    """The translation of `text` from apertium's row. Extra spaces, which apertium leaves between words, are removed."""
    kept = [match[0] for match in KEPT.finditer(text)]

    def read(match: re.Match[str]) -> str:
        if match[1]:
            return match[1]
        return kept[int(match[2])] if match[2] and int(match[2]) < len(kept) else ""

    return re.sub(r"  +", " ", re.sub(r"\\(.)|\[(?:(\d+)|[^\]]*)\]", read, row)).strip()


def _where(origin: str, target: str) -> str:
    """A sentence that says how to install the pair from Debian."""
    for package, modes in PACKAGES.items():
        if _fitting(dict(map(_sides, modes.split())), origin, target):
            return f"Debian has it: apt-get install {package}"
    return "We know no Debian package for it; search with: apt-cache search apertium-"


def _sides(mode: str) -> tuple[str, tuple[str, str]]:
    one, _, other = mode.partition("-")
    return mode, (one, other)


def _fitting(modes: dict[str, tuple[str, str]], origin: str, target: str) -> list[str]:
    return [mode for mode, (one, other) in modes.items() if near(one, origin) and near(other, target)]


def _end(number: int) -> str:
    return f"[={number}]"


def _escaped(text: str) -> str:
    return SPECIAL.sub(r"\\\g<0>", text)


def _modes() -> dict[str, tuple[str, str]]:
    return dict(map(_sides, _run(["apertium", "-l"]).split()))


@cache
def _version(mode: str) -> str:
    return f"{_run(['apertium', '-V']).split()[-1]}, pair {_package(mode)}"


def _package(mode: str) -> str:
    """The Debian version of the package that the pair's dictionaries come from."""
    found = re.search(r"'(/[^']*)'", _file(mode))
    try:
        owner = _run(["dpkg", "-S", found[1]]).partition(":")[0] if found else ""
        return _run(["dpkg-query", "-W", "-f", "${Version}", owner]) if owner else "unknown"
    except Fault:
        return "unknown"


def _file(mode: str) -> str:
    for folder in ("/usr/share/apertium/modes", "/usr/local/share/apertium/modes"):
        path = Path(folder, f"{mode}.mode")
        if path.exists():
            return path.read_text(encoding="utf-8")
    return ""


def _run(command: list[str], sent: str = "") -> str:
    try:
        done = subprocess.run(command, input=sent.encode(), capture_output=True, timeout=LONGEST_S, check=False)
    except subprocess.TimeoutExpired:
        raise Fault(f"{' '.join(command)}: no answer in {LONGEST_S} s. Run it again.") from None
    except OSError as error:
        raise Fault(f"{command[0]}: {error.strerror}") from None
    if done.returncode or (sent and not done.stdout):
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise Fault(f"{' '.join(command)}: {said[-1] if said else f'exit code {done.returncode}'}")
    return done.stdout.decode(errors="replace")
