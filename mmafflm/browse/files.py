"""The pictures and clips of a build that the server may send: files of a known type that a record refers to."""

from pathlib import Path
from typing import NamedTuple

from mmafflm.errors import Fault
from mmafflm.files.inside import media_path

# SVG and HTML are left out, because they can contain scripts.
KINDS = {
    ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp", ".gif": "image/gif",
    ".bmp": "image/bmp", ".mp4": "video/mp4", ".webm": "video/webm",
}  # fmt: skip


class Medium(NamedTuple):
    """A file and its MIME type."""

    path: Path
    kind: str


def medium(root: Path, name: str) -> Medium:
    """The file of a name in a record, with links resolved.

    Raises Fault when the name is not allowed (see media_path), the type is not in KINDS, or the file is missing.
    """
    path = media_path(root, name).resolve()
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise Fault(f"{name}: not a picture or clip that a browser can show")
    if not path.exists():
        raise Fault(f"{name}: missing")
    return Medium(path, kind)


def content(found: Medium) -> bytes:
    """The bytes of a file. Raises Fault when it cannot be read."""
    try:
        return found.path.read_bytes()
    except OSError as error:
        raise Fault(f"{found.path}: cannot be read ({error.strerror})") from None
