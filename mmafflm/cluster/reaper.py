"""`python -m mmafflm.cluster.reaper FOLDER`: clean up a local Ray when its command has ended or was killed.

Ray's processes then end by themselves, except for its agents. Only Ray's processes have files in FOLDER open, so this
module kills every process that has, and removes FOLDER. The command holds the other end of standard input, which
closes when the command ends.
"""

import os
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path


def main(folder: Path) -> None:
    """Wait for the end of standard input, then kill Ray's processes and remove the folder."""
    spared = {os.getpid(), os.getppid()}  # the command may still have a log open, and waits for us
    sys.stdin.read()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile, or is another user's
            if int(process.name) not in spared and _uses(process, folder):
                os.kill(int(process.name), signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


def _uses(process: Path, folder: Path) -> bool:
    """Whether a process has a file below the folder open."""
    return any(folder in file.readlink().parents for file in (process / "fd").iterdir())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
