"""Every run's metrics on the same resampled rows, and which runs a paired test cannot tell from the best.

All runs are measured on each resample at once: one matrix product instead of twenty, which is what makes a leaderboard
take seconds. The resamples are those of eval/score/bootstrap.py.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from eval.compare.compare_table import LEVEL
from eval.leaderboard.answers import RowsOfRuns
from eval.score import metrics
from eval.score.bootstrap import Measure, Values, distribution
from eval.score.measure import MODES, of_counts
from eval.score.metrics import Bools, Floats
from eval.score.paired import holm, seed_of
from mmafflm.benchmark.benchmark import Task
from mmafflm.benchmark.grammar import Labels, Vad

LEAST_RESAMPLES = 1000
# Differences below this are rounding: a matrix product may add up equal columns in another order, and a sign that is
# the same in every resample would make twins differ significantly.
ROUNDING = 1e-9


class ResampledRuns:
    """The metrics of all runs on one task, or one of its languages: on the rows themselves and on each resample."""

    def __init__(self, rows: RowsOfRuns, resamples: int) -> None:
        self.rows, self.resamples = rows, resamples
        self._found: dict[tuple[bytes, str], dict[str, Floats]] = {}
        alike: dict[bytes, list[str]] = {}
        for name, asked in rows.asked.items():
            alike.setdefault(asked.tobytes(), []).append(name)
        for names in alike.values():
            self._measure(rows.asked[names[0]], names)

    def value(self, run: str, mode: str, metric: str) -> float:
        """The metric on the rows that the run was asked; NaN if it is not defined."""
        return float(self._found[self.rows.asked[run].tobytes(), run][f"{mode} {metric}"][0])

    def difference(self, run: str, other: str, mode: str, metric: str) -> Floats | None:
        """other - run on the rows that both were asked: on these rows, then in each resample. None: no such rows."""
        both = self.rows.asked[run] & self.rows.asked[other]
        if not both.any():
            return None
        key, name = both.tobytes(), f"{mode} {metric}"
        if lacking := [one for one in (run, other) if (key, one) not in self._found]:
            self._measure(both, lacking)
        found = self._found[key, other][name] - self._found[key, run][name]
        found[np.abs(found) < ROUNDING] = 0.0
        return found

    def _measure(self, chosen: Bools, names: Sequence[str]) -> None:
        rows, every = self.rows, np.ones(int(chosen.sum()))
        measures = [_measure_of(rows, chosen, names, mode) for mode in MODES]

        def measure(weights: Floats) -> Values:
            return {name: found for one in measures for name, found in one(weights).items()}

        # The seed depends on neither runs nor mode: runs that are measured later get the same resamples.
        seed = seed_of("leaderboard", rows.task.name, rows.language or "")
        whole, drawn = measure(every[None]), distribution(measure, every, self.resamples, seed)
        for name in names:
            self._found[chosen.tobytes(), name] = {
                key.removesuffix(f"\n{name}"): np.concatenate([whole[key], drawn[key]])
                for key in whole
                if key.endswith(f"\n{name}")
            }


def _measure_of(rows: RowsOfRuns, chosen: Bools, names: Sequence[str], mode: str) -> Measure:
    """A function from weights to the metrics of the runs named, in one mode; its keys are "MODE METRIC\\nRUN"."""
    gold = rows.read[mode][names[0]].gold[chosen]
    predictions = [rows.read[mode][name].prediction[chosen] for name in names]
    emotions = None if rows.emotions is None else rows.emotions[chosen]

    def measure(weights: Floats) -> Values:
        if isinstance(rows.task.grammar, Labels):
            found = [of_counts(rows.task, mode, one) for one in _counts(gold, predictions, weights)]
        else:
            found = _of_numbers(rows.task, mode, gold, np.stack(predictions, axis=1), weights, emotions)
        return {
            f"{mode} {key}\n{name}": values for name, of in zip(names, found, strict=True) for key, values in of.items()
        }

    return measure


def _counts(gold: Bools, predictions: Sequence[Bools], weights: Floats) -> Iterable[metrics.Counts]:
    """metrics.label_counts() of every run, from one matrix product. Single precision: exact to 16 million rows."""
    classes = gold.shape[1]
    columns = [gold, *(part for one in predictions for part in (gold & one, one, (gold == one).all(1)[:, None]))]
    found = (weights.astype(np.float32) @ np.column_stack(columns).astype(np.float32)).astype(float)
    wanted, rows = found[:, :classes], weights.sum(1)
    for start in range(classes, found.shape[1], 2 * classes + 1):
        hits, given = found[:, start : start + classes], found[:, start + classes : start + 2 * classes]
        yield metrics.Counts(hits, wanted, given, found[:, start + 2 * classes], rows)


def _of_numbers(
    task: Task, mode: str, gold: Floats, predictions: Floats, weights: Floats, emotions: metrics.Array | None
) -> list[dict[str, Floats]]:
    """Pearson's r of each run as the scores have it: of each dimension and their mean, or the mean over the emotions.

    predictions: [n, runs], or [n, runs, dimensions].
    """

    def pearsons(gold: Floats, predictions: Floats, weights: Floats) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):  # a resample may lack an emotion of few rows
            found = metrics.pearsons(gold, predictions, weights)
        return found if mode == "paper" else np.nan_to_num(found, nan=0.0)

    if isinstance(task.grammar, Vad):
        parts = {
            f"pearson_{name}": pearsons(gold[:, at], predictions[:, :, at], weights)
            for at, name in enumerate(task.grammar.dimensions)
        }
    else:
        chosen = [slice(None)] if emotions is None else [emotions == one for one in np.unique(emotions)]
        parts = {str(at): pearsons(gold[of], predictions[of], weights[:, of]) for at, of in enumerate(chosen)}
    whole = np.mean(list(parts.values()), axis=0)
    shown = (parts if isinstance(task.grammar, Vad) else {}) | {"pearson": whole}
    return [{name: found[run] for name, found in shown.items()} for run in range(predictions.shape[1])]


class Ranked(NamedTuple):
    """The best run of a column, and the corrected p-value of every other against it; None where no row is shared."""

    best: str
    p: dict[str, float | None]

    @property
    def marked(self) -> set[str]:
        """The best, and those that the test cannot tell from it."""
        return {self.best, *(name for name, p in self.p.items() if p is not None and p >= LEVEL)}


def rank(values: Mapping[str, float], p_of: Callable[[str, str], float | None]) -> Ranked | None:
    """Test every run against the best of a column; p corrected for their number (Holm). None for fewer than two runs.

    p_of(best, other): the paired test's p-value.
    """
    if len(values) < 2:
        return None
    best = max(values, key=lambda name: values[name])
    p = {name: p_of(best, name) for name in values if name != best}
    tested = {name: one for name, one in p.items() if one is not None}
    return Ranked(best, p | dict(zip(tested, holm(list(tested.values())), strict=True)))
