"""Every run's metrics on the same rows, and which runs a paired permutation test cannot tell from the best.

The same random swaps apply to all runs at once. With one matrix product instead of twenty, a leaderboard takes seconds.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from eval.compare.compare_table import LEVEL
from eval.leaderboard.answers import RowsOfRuns
from eval.score.measure import MODES
from eval.score.metrics import Bools, Floats
from eval.score.paired import holm, seed_of
from eval.score.permutation import Judged, SwappedRuns

PERMUTATIONS = 1000


class ComparedRuns:
    """The metrics of all runs on one task or one of its languages, and the runs' differences under random swaps."""

    def __init__(self, rows: RowsOfRuns, permutations: int = PERMUTATIONS) -> None:
        self.rows, self.permutations = rows, permutations
        self._found: dict[tuple[bytes, str], tuple[SwappedRuns, dict[str, int]]] = {}
        alike: dict[bytes, list[str]] = {}
        for name, asked in rows.asked.items():
            alike.setdefault(asked.tobytes(), []).append(name)
        for names in alike.values():
            for mode in MODES:
                self._swapped(rows.asked[names[0]], names, mode)

    def value(self, run: str, mode: str, metric: str) -> float:
        """The metric on the rows that the run answered; NaN if the metric is not defined."""
        runs, places = self._found[self.rows.asked[run].tobytes(), mode]
        return float(runs.values(places[run])[metric][0])

    def shared(self, run: str, other: str) -> int:
        """The number of rows that both runs answered."""
        return int((self.rows.asked[run] & self.rows.asked[other]).sum())

    def difference(self, run: str, other: str, mode: str, metric: str) -> Floats | None:
        """other - run on the rows that both answered: first without a swap, then after each. None without such rows."""
        both = self.rows.asked[run] & self.rows.asked[other]
        if not both.any():
            return None
        runs, places = self._found.get((both.tobytes(), mode), (None, {}))
        if runs is None or not {run, other} <= places.keys():
            runs, places = self._swapped(both, [run, other], mode, kept=False)
        return runs.difference(places[run], places[other])[metric]

    def _swapped(
        self, chosen: Bools, names: Sequence[str], mode: str, kept: bool = True
    ) -> tuple[SwappedRuns, dict[str, int]]:
        rows = self.rows
        gold = rows.read[mode][names[0]].gold[chosen]
        predictions = [rows.read[mode][name].prediction[chosen] for name in names]
        emotions = None if rows.emotions is None else rows.emotions[chosen]
        runs = SwappedRuns(rows.task, mode, gold, predictions, emotions, rows.groups[chosen])
        runs.draw(self.permutations, seed_of("leaderboard", rows.task.name, rows.language or ""))
        found = runs, {name: at for at, name in enumerate(names)}
        if kept:
            self._found[chosen.tobytes(), mode] = found
        return found


class Ranked(NamedTuple):
    """The best run of a column, and the tests of every other run against the best."""

    best: str
    p: dict[str, float | None]  # {run: p}; None when the run and the best share no row, or too few rows for a test
    few: set[str]  # the runs that share too few rows with the best for a test

    @property
    def marked(self) -> set[str]:
        """The best run, and the runs that the test cannot tell from it or that share too few rows for the test."""
        return {self.best, *self.few, *(name for name, p in self.p.items() if p is not None and p >= LEVEL)}


def rank(values: Mapping[str, float], test: Callable[[str, str], Judged | None]) -> Ranked | None:
    """Test every run against the best of a column. None for fewer than two runs.

    test(best, other): the result of the paired test; None when the two runs share no row.
    """
    if len(values) < 2:
        return None
    best = max(values, key=lambda name: values[name])
    tests = {name: test(best, name) for name in values if name != best}
    p = {name: None if one is None else one.p for name, one in tests.items()}
    return Ranked(best, p, {name for name, one in tests.items() if one is not None and one.p is None})


def corrected(columns: Sequence[Ranked | None]) -> tuple[list[Ranked | None], int]:
    """The columns of one table with p corrected (Holm) for all tests of the table, and the number of these tests."""
    raw = [p for one in columns if one for p in one.p.values() if p is not None]
    left = iter(holm(raw))
    found = [
        one and one._replace(p={name: None if p is None else next(left) for name, p in one.p.items()})
        for one in columns
    ]
    return found, len(raw)
