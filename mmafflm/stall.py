"""A run that hangs while its processes live: a rank that stands still, a network that swallows, a disk that is gone.

Nothing of the stack says so before ddp_timeout (two hours in the recipes, and without the key LLaMA-Factory's years);
until then every GPU waits. Seen from outside there is one sign, that nothing is written. What counts as life: a logged
step; bytes of checkpoints and weights, for a large one on a slow disk takes minutes; and, until the speed of the run is
known, lines of its log, for a base is downloaded, a data set is read and kernels are compiled before the first step.
"""

import contextlib
import os
import statistics
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from mmafflm.processes import PROC, Process, rank_of

OVERDUE_STEPS = 10  # a row may come so many usual steps late
LEAST_S = 600.0  # and never less than this: a validation, a neighbour or a cold page cache slow a short step more
FIRST_S = 7200.0  # before the speed is known, as long as the recipes' ddp_timeout
KNOWN = 3  # rows after the first that tell the speed
RECENT = 21
LOOK_S = 10.0  # between two looks at the files
BLINK_S = 10.0  # most that one call counts: a launcher that was itself stopped has seen nothing meanwhile
HANGING = {"D": "waits for a disk or a driver", "T": "was stopped by a signal", "t": "is held by a debugger"}


class Stall:
    """Asked at every beat with the last step that was logged, says when the run hangs.

    `step` is the one it goes on from (0: none); `first_s` is what it may take for its first rows without a line in its
    log.
    """

    def __init__(self, out: Path, step: int, first_s: float = FIRST_S) -> None:
        self.out, self.step, self.first_s = out, step, first_s
        self.times: deque[float] = deque(maxlen=RECENT)  # seconds a step
        self.every = 1  # steps from one logged to the next
        self.rows = 0
        self.last = time.monotonic()
        self.quiet = self.row_took = self.looked = 0.0
        self.files = self._files()

    @property
    def usual_s(self) -> float | None:
        """Seconds that a step takes; None until enough rows tell it."""
        return statistics.median(self.times) if len(self.times) >= KNOWN else None

    @property
    def limit_s(self) -> float:
        """Seconds without a sign of life that the run may take."""
        usual = self.usual_s
        return self.first_s if usual is None else max(LEAST_S, (self.every + OVERDUE_STEPS) * usual)

    def beat(self, step: int) -> str | None:
        """None, or what hangs, as the end of a sentence. `step` is the last that was logged."""
        now = time.monotonic()
        passed = min(now - self.last, BLINK_S)
        self.last = now
        self.quiet, self.row_took, self.looked = self.quiet + passed, self.row_took + passed, self.looked + passed
        if step > self.step:
            self._row(step)
        elif self.looked >= LOOK_S:
            self.looked = 0.0
            files, self.files = self.files, self._files()
            self.quiet = 0.0 if files != self.files else self.quiet
        if self.quiet <= self.limit_s:
            return None
        usual = f", {self.usual_s:.3g} s a step until then" if self.usual_s else ""
        after = f"step {self.step}" if self.step else "the start"
        return (
            f"nothing was written for {self.quiet / 60:.0f} min after {after}{usual}, and its processes live: it hangs"
        )

    def pardon(self) -> None:
        """Count the silence from now on."""
        self.quiet = 0.0

    def _row(self, step: int) -> None:
        if self.rows:  # the first took the loading of the model too
            self.every = step - self.step
            self.times.append(self.row_took / self.every)
        self.rows += 1
        self.step, self.quiet, self.row_took = step, 0.0, 0.0

    def _files(self) -> tuple[int, int]:
        """Bytes and the latest change of what the trainer writes."""
        found = [*self.out.glob("*.safetensors"), *(self.out.glob("train*.log") if self.usual_s is None else [])]
        for folder in self.out.glob("*checkpoint-*"):  # os.walk passes over what is deleted meanwhile, rglob fails
            found += [Path(where) / name for where, _, names in os.walk(folder) for name in names]
        size = changed = 0
        for path in found:
            with contextlib.suppress(OSError):
                about = path.stat()
                size, changed = size + about.st_size, max(changed, about.st_mtime_ns)
        return size, changed


def is_paused(processes: list[Process]) -> bool:
    """Whether all of a run was stopped: somebody has taken the machine for a while, and will give it back."""
    return bool(processes) and all(one.state == "T" for one in processes)


def suspects(processes: Iterable[Process], proc: Path = PROC) -> str:
    """Those of node 0's processes that Linux itself says stand still, as a sentence; empty when all run or sleep."""
    found = [f"{rank_of(one.pid, proc)} {HANGING[one.state]}" for one in processes if one.state in HANGING]
    return f"On node 0 {', '.join(found[:4])}. " if found else ""
