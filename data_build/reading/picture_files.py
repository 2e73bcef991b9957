"""Which raw files are pictures, and which raw file belongs to the key by which a reader names a picture or clip."""

from collections.abc import Iterable
from pathlib import PurePosixPath

from data_build.reading.raw import RawFile
from mmafflm.errors import Fault

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm")


def is_picture(file: RawFile) -> bool:
    """Whether the file's name has the ending of a picture. The build opens the file later and checks its content."""
    return is_picture_name(file.basename)


def is_picture_name(name: str) -> bool:
    """Whether the name has the ending of a picture."""
    return name.lower().endswith(SUFFIXES)


def folders(file: RawFile) -> tuple[str, ...]:
    """The parts of the file's path, within its archive if it is in one; the last part is its name."""
    return PurePosixPath(file.inside).parts


def by_key(corpus: str, files: Iterable[tuple[str, RawFile]]) -> dict[str, str]:
    """Make RawPart.media: {key: name of its raw file}, in the given order. Of several copies, the shortest name wins.

    Raises Fault when copies differ in size. Hashes are not compared: that would open a large archive once per picture.
    """
    chosen: dict[str, RawFile] = {}
    for key, file in files:
        other = chosen.setdefault(key, file)
        if other.size != file.size:
            raise Fault(f"{corpus}: {other.name} and {file.name}: two different copies of {key}. Remove the wrong one.")
        if len(file.name) < len(other.name):
            chosen[key] = file
    return {key: file.name for key, file in chosen.items()}
