"""Turn write errors (a full disk, a file where a folder should be, a read-only place) into a sentence with the path."""

import errno
import os
import re
import shutil
from pathlib import Path
from types import TracebackType

from mmafflm.errors import Fault

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Errors of a path that cannot be written to. A missing file (ENOENT) is not among them. It counts only when the caller
# names the path that it writes; otherwise it is a bug and stays a traceback.
REFUSED = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG,
    errno.ELOOP, errno.ENXIO, errno.ENODEV, errno.EIO,
)  # fmt: skip
_RUST = re.compile(r"\(os error (\d+)\)")  # polars reports a full disk in an exception of its own


def errno_of(error: BaseException | None) -> int | None:
    """The system's error number of an exception, or None."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    found = _RUST.search(str(error)) if isinstance(error, Exception) else None
    return int(found[1]) if found else None


def refusal(error: BaseException, path: Path | None = None) -> str | None:
    """The sentence for an error that the disk or the path caused; None for any other error.

    path: the file or folder that was being written. The sentence begins with it, else with the path in the error.
    """
    number = errno_of(error)
    names = [os.fspath(name) for name in (getattr(error, "filename", None), getattr(error, "filename2", None)) if name]
    where = str(path or (names[-1] if names else "the output"))
    if number in FULL:
        free = f" ({free_bytes(Path(where)) / 1e6:,.1f} MB are free there)" if path or names else ""
        return (
            f"{where}: {os.strerror(number)}{free}. The command keeps no half-written file. Free some space, then "
            "run it again."
        )
    if number in REFUSED or (path and number == errno.ENOENT):
        at = next((f", {name}" for name in names if name != where), "")
        return (
            f"{where}: cannot be written or read ({os.strerror(number)}{at}). Choose another place, or repair this one."
        )
    return None


class writing:
    """`with writing(path):` turns a full disk, or a `path` that cannot be written, into a Fault that names it.

    full_only: only for a full disk; use it when the block also reads other files.
    """

    def __init__(self, path: Path, full_only: bool = False) -> None:
        self.path, self.full_only = path, full_only

    def __enter__(self) -> None:
        """Do nothing before the block."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or (self.full_only and errno_of(error) not in FULL):
            return
        if sentence := refusal(error, self.path):
            raise Fault(sentence) from None


def make_folder(folder: Path) -> Path:
    """Make a folder for output and the folders above it. Raises Fault, naming the folder, when that fails."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def free_bytes(path: Path) -> int:
    """Bytes free on the disk of `path`, which need not exist yet; 0 when that is unknown."""
    for place in (path, *path.absolute().parents):
        try:
            return shutil.disk_usage(place).free
        except OSError:
            continue
    return 0
