"""How far a command is, how fast, and how long the rest will take: on standard error, so that output stays data.

A bar on a terminal; in a log file or under Slurm, where no line can be drawn over, a line now and then.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TypeAlias

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from mmafflm.command import say

Advance: TypeAlias = Callable[[int], None]
EVERY_S = 30.0  # between two lines


@contextmanager
def progress(name: str, steps: int) -> Iterator[Advance]:
    """A bar of so many steps; what it yields is called with the number of steps that are done."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Lines(name, steps, monotonic).advance
        return
    columns = (TextColumn(name), BarColumn(), MofNCompleteColumn(), TaskProgressColumn(show_speed=True))
    with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task(name, total=steps)
        yield lambda count: bar.advance(task, count)


class Lines:
    """Progress as lines: the first steps of a command, then every EVERY_S seconds, then the last step."""

    def __init__(self, name: str, steps: int, clock: Callable[[], float]) -> None:
        """clock: seconds, counted from anywhere."""
        self.name, self.steps, self.clock = name, steps, clock
        self.done, self.started = 0, clock()
        self.told: float | None = None

    def advance(self, count: int) -> None:
        """So many steps more are done; say so when it is time."""
        ended = self.done >= self.steps and self.told is not None
        self.done += count
        now = self.clock()
        if not ended and (self.done >= self.steps or self.told is None or now - self.told >= EVERY_S):
            self.told = now
            say(self._line(now - self.started))

    def _line(self, seconds: float) -> str:
        """Of the whole command, not of its last steps: subsets differ in speed, and a mean does not jump."""
        share = f"{self.name}: {self.done} of {self.steps}, {self.done / max(self.steps, 1):.0%}"
        if self.done >= self.steps:
            return f"{share}, {span(seconds)}"
        if not self.done or seconds <= 0:
            return share
        left = (self.steps - self.done) * seconds / self.done
        return f"{share}, {self.done / seconds:.3g}/s, about {span(left)} left at this pace"


def span(seconds: float) -> str:
    """A length of time in its two largest units: 45 s, 3 min 20 s, 26 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    hours, rest = divmod(whole, 3600)
    return f"{hours} h {rest // 60:02} min" if hours else f"{rest // 60} min {rest % 60:02} s"
