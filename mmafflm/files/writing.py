"""Writing where it may be refused: a full disk, a folder that is a file, /proc. Each is a sentence with the path."""

import errno
import os
import re
import shutil
from pathlib import Path
from types import TracebackType

from mmafflm.errors import Fault

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# What a path can be that nothing can be written to. A missing file is not among them: where we did not make the
# folder ourselves it is a bug, and remains a traceback.
REFUSED = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG,
    errno.ELOOP, errno.ENXIO, errno.ENODEV, errno.EIO,
)  # fmt: skip
_RUST = re.compile(r"\(os error (\d+)\)")  # polars reports a full disk as an error of its own


def errno_of(error: BaseException | None) -> int | None:
    """The system's number of an error; None where it has none."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    found = _RUST.search(str(error)) if isinstance(error, Exception) else None
    return int(found[1]) if found else None


def refusal(error: BaseException, path: Path | None = None) -> str | None:
    """The sentence for an error that the disk or the path is to blame for; None for any other error.

    path: what was being written, where the error itself does not name it.
    """
    number = errno_of(error)
    names = [os.fspath(name) for name in (getattr(error, "filename", None), getattr(error, "filename2", None)) if name]
    where = str(path or (names[-1] if names else "the output"))
    if number in FULL:
        free = f" ({_free(Path(where)) / 1e6:,.1f} MB are free there)" if path or names else ""
        return (
            f"{where}: {os.strerror(number)}{free}. Nothing half-written is kept: free some space, then run the same "
            "command again."
        )
    if number in REFUSED or (path and number == errno.ENOENT):
        at = next((f", {name}" for name in names if name != where), "")
        return f"{where}: cannot be written or read ({os.strerror(number)}{at}). Name another place, or mend this one."
    return None


class writing:
    """`with writing(path):` whatever the system says against writing `path` is raised as a Fault that names it.

    full_only: nothing but a full disk, where the block reads other files too.
    """

    def __init__(self, path: Path, full_only: bool = False) -> None:
        self.path, self.full_only = path, full_only

    def __enter__(self) -> None:
        """Nothing is done before the block."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or (self.full_only and errno_of(error) not in FULL):
            return
        if sentence := refusal(error, self.path):
            raise Fault(sentence) from None


def make_folder(folder: Path) -> Path:
    """Make a folder for output, and those above it. Raises Fault naming it where that cannot be done."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def _free(path: Path) -> int:
    """Bytes free on the disk of a path, which need not be there."""
    for place in (path, *path.absolute().parents):
        try:
            return shutil.disk_usage(place).free
        except OSError:
            continue
    return 0
