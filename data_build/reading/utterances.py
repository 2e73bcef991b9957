"""Code that the corpora of clips share: a table with named columns, and the limit on a clip's length."""

from collections.abc import Mapping, Sequence
from typing import Any

from data_build.reading.raw import CsvRow, RawFile
from mmafflm.errors import Fault

SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".webm", ".mkv")  # the sources have .mp4; copies may be converted
MAX_S = 60.0  # a longer clip was cut wrongly at the source; the build uses only its middle MAX_S seconds


def max_s(corpus: str, options: Mapping[str, Any]) -> float:
    """The option max_s, in seconds. Raises Fault unless it is a positive number."""
    value = options["max_s"]
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise Fault(f"{corpus}: max_s is a number of seconds above 0, not {value!r}. Correct the build config.")
    return float(value)


def is_clip(file: RawFile) -> bool:
    """Whether the file's name has the ending of a clip. The build opens the file later and checks its content."""
    return file.basename.lower().endswith(SUFFIXES)


def columns(corpus: str, file: RawFile, header: CsvRow | None, needed: Sequence[str]) -> list[str]:
    """The names in a table's header. Raises Fault when the table is empty, or lacks or repeats a needed column."""
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
    """The fault for a table whose rows match none of the clips."""
    return Fault(
        f"{corpus}: {file.name}: no row has a clip, though {next(iter(media.values()))} is there; expected one named "
        f"after {key}. Put the corpus's own clips and table there."
    )
