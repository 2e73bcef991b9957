"""A run that hangs while its processes live: nothing was written for N minutes.

Nothing else says so before ddp_timeout (two hours in the recipes, years without the key); until then every GPU waits.
The trainer's logs count as written (its bar is a line a step), and so do checkpoints and weights, because a large one
on a slow disk takes minutes. N is 10, or three times the longest pause since the first step began.
"""

import contextlib
import os
import time
from pathlib import Path

from mmafflm.train.launch.processes import processes_of, run_name
from mmafflm.train.watch.progress import TRAINER_LOG

LEAST_S = 600.0  # a validation, a neighbour or a cold page cache slow a short step more than three times
FIRST_S = 7200.0  # until a step is logged: a base is downloaded, a data set is read and kernels are compiled
PAUSES = 3
LOOK_S = 10.0  # between two looks at the files
Files = dict[Path, tuple[int, int]]  # bytes and time of the latest change


class Stall:
    """Asked at every beat of the launcher of a node, says when the run in OUT hangs.

    first_s: the longest pause before the first logged step.
    """

    def __init__(self, out: Path, node_rank: int = 0, first_s: float = FIRST_S) -> None:
        self.out, self.name, self.limit_s, self.stepped = out, run_name(out, node_rank), first_s, False
        self.looked, self.quiet, self.files = time.monotonic(), 0.0, self._written()

    def beat(self) -> str | None:
        """None, or what hangs, as a part of a sentence."""
        now = time.monotonic()
        if now - self.looked < LOOK_S:
            return None
        self.quiet += min(now - self.looked, 2 * LOOK_S)  # a launcher that was itself stopped saw nothing meanwhile
        self.looked, before, self.files = now, self.files, self._written()
        if self.files != before:
            log = self.out / TRAINER_LOG
            if self.stepped or self.files.get(log) != before.get(log):
                self.limit_s = max(self.limit_s if self.stepped else LEAST_S, PAUSES * self.quiet)
                self.stepped = True
            self.quiet = 0.0
        if self.quiet > self.limit_s and {one.state for one in processes_of(self.name)} == {"T"}:
            self.quiet = 0.0  # somebody stopped this node's processes to use the machine, and will let them go on
        if self.quiet <= self.limit_s:
            return None
        return f"nothing was written for {self.quiet / 60:.0f} min, and its processes live: it hangs"

    def _written(self) -> Files:
        """What the trainer writes."""
        found = [self.out / TRAINER_LOG, *self.out.glob("train*.log"), *self.out.glob("*.safetensors")]
        for folder in self.out.glob("*checkpoint-*"):  # os.walk passes over what is deleted meanwhile, rglob fails
            found += [Path(where) / name for where, _, names in os.walk(folder) for name in names]
        files = {}
        for path in found:
            with contextlib.suppress(OSError):
                about = path.stat()
                files[path] = about.st_size, about.st_mtime_ns
        return files
