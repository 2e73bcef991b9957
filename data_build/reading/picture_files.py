"""Pictures among the raw files: what counts as one, and the way from a corpus's own name of it to its raw file."""

from collections.abc import Iterable
from pathlib import PurePosixPath

from data_build.reading.raw import RawFile
from mmafflm.errors import Fault

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm")


def is_picture(file: RawFile) -> bool:
    """Whether the file's name says so; the build opens it and sees."""
    return is_picture_name(file.basename)


def is_picture_name(name: str) -> bool:
    """Whether this is a name of a picture."""
    return name.lower().endswith(SUFFIXES)


def folders(file: RawFile) -> tuple[str, ...]:
    """The parts of the file's path, inside its archive if it is in one; the last is its name."""
    return PurePosixPath(file.inside).parts


def by_key(corpus: str, files: Iterable[tuple[str, RawFile]]) -> dict[str, str]:
    """Part.media: from each key to the name of its raw file, in the order given; of several copies the shortest name.

    Raises Fault when copies differ in size; hashing would open an archive of thousands of pictures once for each.
    """
    chosen: dict[str, RawFile] = {}
    for key, file in files:
        other = chosen.setdefault(key, file)
        if other.size != file.size:
            raise Fault(f"{corpus}: {other.name} and {file.name}: two different copies of {key}. Remove the wrong one.")
        if len(file.name) < len(other.name):
            chosen[key] = file
    return {key: file.name for key, file in chosen.items()}
