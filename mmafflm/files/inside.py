"""Keep everything that an untrusted folder refers to inside that folder.

DATA may come from a colleague or from the hub, with a manifest whose hashes all agree. The records still decide which
files are opened, uploaded, packed and linked. So one rule holds for every picture, frame and clip: its name is a
relative path below media/, and the file at that path, with links resolved, is in DATA. Nothing else in the folder may
be a link that leads out of it.
"""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeGuard

from mmafflm.errors import Fault

MEDIA = "media"  # the folder below DATA
RULE = f"a picture or clip must have a relative path below {MEDIA}/, without .., drive, backslash or control character"
LEADS_OUT = "a link that leads out of the folder"
_PART = r"(?!\.\.?(?:/|\Z))[^/\\:\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,255}"  # a lone surrogate cannot be a file's name
_NAME = re.compile(rf"{MEDIA}(?:/{_PART}){{1,20}}")  # nested folders; the build makes four levels
_BELOW = re.compile(rf"{_PART}(?:/{_PART})*")
_SHOWN = 120  # characters of a bad name that a message shows


def is_media_name(name: object) -> TypeGuard[str]:
    """Whether this is an allowed name of a picture, frame or clip. Links are not checked."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def is_below(name: str) -> bool:
    """Whether this is a relative path that stays below its folder. Links are not checked."""
    return _BELOW.fullmatch(name) is not None


def quoted(name: object) -> str:
    """A name from a file, made fit for a message: quoted, on one line, and shortened."""
    text = ascii(name) if isinstance(name, str) and not name.isprintable() else repr(name)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


class Folder:
    """Checks the media names of a folder's records in one pass. It remembers the results for the folders below."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._real = os.path.realpath(path)
        self._inside: dict[str, bool] = {}

    def fault(self, name: object) -> str | None:
        """Why a record may not have this name of a picture, frame or clip; None if it may. The file need not exist."""
        if not is_media_name(name):
            return RULE
        return None if self._holds_folder(name.rpartition("/")[0]) and self._holds(name) else LEADS_OUT

    def _holds_folder(self, name: str) -> bool:
        if name not in self._inside:
            above = name.rpartition("/")[0]
            self._inside[name] = (not above or self._holds_folder(above)) and self._holds(name)
        return self._inside[name]

    def _holds(self, name: str) -> bool:
        """Whether a file or folder, whose parent folder is inside, is inside too: not a link that leads out."""
        path = f"{self._real}/{name}"
        # Path.is_symlink raises for a name that is too long, and realpath for every file is slow
        return not os.path.islink(path) or Path(os.path.realpath(path)).is_relative_to(self._real)  # noqa: PTH114


def media_path(root: Path, name: object) -> Path:
    """The path of a picture, frame or clip below `root`; the file may be missing.

    Raises Fault when the name breaks the rule, when a link leads out of `root`, and when the path is not a file or
    cannot be opened.
    """
    if why := Folder(root).fault(name):
        raise Fault(f"{root}: {quoted(name)}: {why}. Remove the record, or get the data from its source.")
    path = root / str(name)
    try:
        is_file = stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return path
    except OSError as error:  # a name that is too long, or links in a circle
        raise Fault(f"{root}: {quoted(name)}: cannot be opened ({error.strerror}).") from None
    if not is_file:
        raise Fault(f"{root}: {quoted(name)}: not a file. Remove the record, or get the data from its source.")
    return path


def require_inside(root: Path, but: tuple[str, ...] = (MEDIA,)) -> None:
    """Raises Fault when a link below `root` leads out of it, so that nothing is read or written there.

    but: folders of `root` that are not searched. Files in media/ are checked one by one when a record is used.
    """
    real = Path(os.path.realpath(root))
    if found := sorted(_leading_out(real, real, but)):
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise Fault(
            f"{root}: {', '.join(quoted(name) for name in found[:3])}{more}: {LEADS_OUT}. Replace the "
            "link with the files, or remove it; the whole folder may be a link."
        )


def _leading_out(folder: Path, root: Path, but: tuple[str, ...]) -> Iterator[str]:
    """The links below `folder` that lead out of `root`, as paths relative to `root`."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:  # another process may just have removed it
        for entry in entries:
            name = os.path.relpath(entry.path, root)
            if entry.is_symlink():
                if not Path(os.path.realpath(entry.path)).is_relative_to(root):
                    yield name
            elif entry.is_dir() and name not in but:
                yield from _leading_out(Path(entry.path), root, but)
