"""What the corpora of clips share: a table whose columns go by name, and the bound on a clip's length."""

from collections.abc import Mapping, Sequence
from typing import Any

from data_build.reading.raw import CsvRow, RawFile
from mmafflm.errors import Fault

SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".webm", ".mkv")  # the sources have .mp4; copies are converted
MAX_S = 60.0  # a longer clip is cut wrongly at the source; the build takes the middle so many seconds


def max_s(corpus: str, options: Mapping[str, Any]) -> float:
    """The option max_s, in seconds. Raises Fault when it is none."""
    value = options["max_s"]
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise Fault(f"{corpus}: max_s is a number of seconds above 0, not {value!r}. Correct the build config.")
    return float(value)


def is_clip(file: RawFile) -> bool:
    """Whether the file's name says so; the build opens it and sees."""
    return file.basename.lower().endswith(SUFFIXES)


def columns(corpus: str, file: RawFile, header: CsvRow | None, needed: Sequence[str]) -> list[str]:
    """The names in the header of a table. Raises Fault when the table is empty or a needed column is not there."""
    if header is None:
        raise Fault(f"{corpus}: {file.name}: an empty file. Download it again.")
    names = [name.strip() for name in header.fields]
    if missing := [name for name in needed if names.count(name) != 1]:
        raise Fault(
            f"{corpus}: {file.name}:{header.line}: expected one column each of {', '.join(needed)}, found "
            f"{', '.join(names)[:200]} ({', '.join(missing)} missing or twice). Put back the file as distributed."
        )
    return names


def no_clip_fits(corpus: str, file: RawFile, key: str, media: Mapping[str, str]) -> Fault:
    """The sentence for a table and clips that have nothing to do with each other."""
    return Fault(
        f"{corpus}: {file.name}: no row has a clip, though {next(iter(media.values()))} is there; expected one named "
        f"after {key}. Put the corpus's own clips and table there."
    )
