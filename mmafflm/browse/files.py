"""The pictures and clips of a build that may be served: named by a record, of a known type, below DATA."""

from pathlib import Path
from typing import NamedTuple

from mmafflm.errors import Fault
from mmafflm.files.inside import media_path

# No SVG, no HTML: nothing that could run
KINDS = {
    ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp", ".gif": "image/gif",
    ".bmp": "image/bmp", ".mp4": "video/mp4", ".webm": "video/webm",
}  # fmt: skip


class Medium(NamedTuple):
    """A file and its MIME type."""

    path: Path
    kind: str


def medium(root: Path, name: str) -> Medium:
    """The file that a record names, with links resolved.

    Raises Fault when the name is not allowed (see media_path), when the file's type is unknown, and when it is missing.
    """
    path = media_path(root, name).resolve()
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise Fault(f"{name}: not a picture or clip that a browser shows")
    if not path.exists():
        raise Fault(f"{name}: missing")
    return Medium(path, kind)


def content(found: Medium) -> bytes:
    """The bytes of a file. Raises Fault when it cannot be read."""
    try:
        return found.path.read_bytes()
    except OSError as error:
        raise Fault(f"{found.path}: cannot be read ({error.strerror})") from None
