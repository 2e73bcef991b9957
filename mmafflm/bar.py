"""How far a command is, how fast, and how long the rest will take: on standard error, so that output stays data."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

Advance: TypeAlias = Callable[[int], None]


@contextmanager
def progress(name: str, steps: int) -> Iterator[Advance]:
    """A bar of so many steps; what it yields is called with the number of steps that are done."""
    columns = (TextColumn(name), BarColumn(), MofNCompleteColumn(), TaskProgressColumn(show_speed=True))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=steps)
        yield lambda count: bar.advance(task, count)
