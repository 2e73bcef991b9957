"""Show how much of a command's work is done, how fast it is and, once this can be estimated, how long the rest takes.

All of it is printed to standard error, because standard output is for data. A terminal shows a bar. A log file or
Slurm, where a line cannot be overwritten, gets a new line now and then.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from typing import NamedTuple, TypeAlias

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn

from mmafflm.terminal.command import say

Steps: TypeAlias = int | Mapping[str, int]
"""A number of steps, or {kind: number} when one kind takes longer than another."""
Advance: TypeAlias = Callable[[Steps], None]
EVERY_S = 30.0  # seconds between two lines
MEANINGFUL_S = 15.0  # before this no time is estimated


@contextmanager
def progress(name: str, steps: Steps) -> Iterator[Advance]:
    """Show progress, and yield a function. Call it with the steps done since the last call, of the kinds in `steps`."""
    console, pace = Console(stderr=True), Pace(steps, monotonic)
    if not console.is_terminal:
        yield Lines(name, pace).advance
        return
    left = TextColumn("{task.fields[left]}", markup=False)
    with Progress(
        TextColumn(name), BarColumn(), MofNCompleteColumn(), TaskProgressColumn(), left, console=console
    ) as bar:
        task = bar.add_task(name, total=pace.total, left="")

        def advance(steps: Steps) -> None:
            pace.advance(steps)
            bar.update(task, completed=pace.total_done, left=pace.said())

        yield advance


class Rest(NamedTuple):
    """The time that is left. seconds: for the kinds with a known pace. unknown: the steps left of every other kind."""

    seconds: float
    unknown: dict[str, int]

    def said(self) -> str:
        """The time left in words; an empty text when nothing is left."""
        said = [f"about {span(self.seconds)} left"] if self.seconds else []
        if self.unknown:
            after = " and ".join(f"{count} {kind}" for kind, count in self.unknown.items())
            said.append(f"{'then ' if said else ''}{after} at a pace not known yet")
        return ", ".join(said)


def rest(steps: Mapping[str, int], done: Mapping[str, int], each_s: Mapping[str, float]) -> Rest:
    """The time left. each_s: {kind: seconds a step}, because a clip takes many times as long as a text.

    A kind that is not in `each_s` has no known pace yet, and we do not guess one.
    """
    left = {kind: count - done.get(kind, 0) for kind, count in steps.items() if count > done.get(kind, 0)}
    seconds = sum(count * each_s[kind] for kind, count in left.items() if kind in each_s)
    return Rest(seconds, {kind: count for kind, count in left.items() if kind not in each_s})


class Pace:
    """Counts the steps done, and the seconds that each kind took after its first steps."""

    def __init__(self, steps: Steps, clock: Callable[[], float]) -> None:
        """clock: returns seconds, from any starting point."""
        self.steps, self.clock = _kinds(steps), clock
        self.total, self.done = sum(self.steps.values()), Counter[str]()
        self.first, self.took_s = Counter[str](), dict[str, float]()
        self.started = self.last = clock()

    @property
    def total_done(self) -> int:
        """The number of steps done, of all kinds."""
        return self.done.total()

    def advance(self, steps: Steps) -> None:
        """Count more steps as done. Kinds in one call were done in parallel, and share the time since the last call."""
        found = {kind: count for kind, count in _kinds(steps).items() if count}
        now = self.clock()
        for kind, count in found.items():
            self.done[kind] += count
            if kind not in self.first:  # may include loading a model or starting workers, so it is not timed
                self.first[kind], self.took_s[kind] = count, 0.0
            else:
                self.took_s[kind] += (now - self.last) / len(found)
        if found:
            self.last = now

    def rest(self) -> Rest | None:
        """The time that is left; None while too little is done for an estimate."""
        timed = {kind: self.done[kind] - self.first[kind] for kind in self.first if self.done[kind] < self.steps[kind]}
        if self.last - self.started < MEANINGFUL_S or not all(timed.values()):
            return None
        return rest(self.steps, self.done, {kind: self.took_s[kind] / count for kind, count in timed.items()})

    def said(self) -> str:
        """The time that is left in words; an empty text when nothing is left, or too little is done for an estimate."""
        found = self.rest()
        return found.said() if found else ""


class Lines:
    """Progress as lines: at the first steps of a command, then every EVERY_S seconds, then at the last step."""

    def __init__(self, name: str, pace: Pace) -> None:
        self.name, self.pace = name, pace
        self.told: float | None = None

    def advance(self, steps: Steps) -> None:
        """Count more steps as done, and print a line when it is time."""
        pace = self.pace
        ended = pace.total_done >= pace.total and self.told is not None
        pace.advance(steps)
        now = pace.clock()
        if not ended and (pace.total_done >= pace.total or self.told is None or now - self.told >= EVERY_S):
            self.told = now
            say(self._line(now - pace.started))

    def _line(self, seconds: float) -> str:
        """One line. Its rate is a mean since the start, because subsets differ in speed and a mean does not jump."""
        done, total = self.pace.total_done, self.pace.total
        share = f"{self.name}: {done} of {total}, {done / max(total, 1):.0%}"
        if done >= total:
            return f"{share}, {span(seconds)}"
        if not done or seconds <= 0:
            return share
        return ", ".join(filter(None, (share, f"{done / seconds:.3g}/s", self.pace.said())))


def _kinds(steps: Steps) -> Mapping[str, int]:
    return {"": steps} if isinstance(steps, int) else steps


def span(seconds: float) -> str:
    """A duration in its two largest units: 45 s, 3 min 20 s, 26 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    hours, below = divmod(whole, 3600)
    return f"{hours} h {below // 60:02} min" if hours else f"{below // 60} min {below % 60:02} s"
