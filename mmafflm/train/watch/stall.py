"""Detect a run that hangs although its processes are alive: it has written nothing for N minutes.

Otherwise the run would end only at ddp_timeout (two hours in the recipes, years without the key), and every GPU would
wait until then. We look at the trainer's logs, to which its progress bar adds a line for each step, and at checkpoints
and weights, because a large one takes minutes on a slow disk. N is 10, or three times the longest pause since the first
step began, whichever is more. Before the first logged step, N is 120 by default.
"""

import contextlib
import os
import time
from pathlib import Path

from mmafflm.train.launch.processes import processes_of, run_name
from mmafflm.train.watch.progress import TRAINER_LOG

LEAST_S = 600.0  # a validation, another program or a cold page cache can slow a short step more than threefold
FIRST_S = 7200.0  # until a step is logged: the base is downloaded, data are read, kernels are compiled
PAUSES = 3
LOOK_S = 10.0  # seconds between two looks at the files
Files = dict[Path, tuple[int, int]]  # {file: (bytes, time of the latest change)}


class Stall:
    """Reports that the run in OUT hangs. The launcher of a node calls beat() regularly.

    first_s: the longest allowed pause before the first logged step.
    """

    def __init__(self, out: Path, node_rank: int = 0, first_s: float = FIRST_S) -> None:
        self.out, self.name, self.limit_s, self.stepped = out, run_name(out, node_rank), first_s, False
        self.looked, self.quiet, self.files = time.monotonic(), 0.0, self._written()

    def beat(self) -> str | None:
        """None, or a part of a sentence that says how long nothing was written."""
        now = time.monotonic()
        if now - self.looked < LOOK_S:
            return None
        self.quiet += min(now - self.looked, 2 * LOOK_S)  # a launcher that was itself stopped saw nothing in that time
        self.looked, before, self.files = now, self.files, self._written()
        if self.files != before:
            log = self.out / TRAINER_LOG
            if self.stepped or self.files.get(log) != before.get(log):
                self.limit_s = max(self.limit_s if self.stepped else LEAST_S, PAUSES * self.quiet)
                self.stepped = True
            self.quiet = 0.0
        if self.quiet > self.limit_s and {one.state for one in processes_of(self.name)} == {"T"}:
            self.quiet = 0.0  # somebody stopped this node's processes to use the machine, and will resume them
        if self.quiet <= self.limit_s:
            return None
        return f"nothing was written for {self.quiet / 60:.0f} min although its processes are running: it hangs"

    def _written(self) -> Files:
        """The files that the trainer writes, with their sizes and times."""
        found = [self.out / TRAINER_LOG, *self.out.glob("train*.log"), *self.out.glob("*.safetensors")]
        for folder in self.out.glob("*checkpoint-*"):  # os.walk skips what is deleted meanwhile; rglob would fail
            found += [Path(where) / name for where, _, names in os.walk(folder) for name in names]
        files = {}
        for path in found:
            with contextlib.suppress(OSError):
                about = path.stat()
                files[path] = about.st_size, about.st_mtime_ns
        return files
