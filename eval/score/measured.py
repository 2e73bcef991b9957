"""Measures one task's answers: every metric, its interval, and what was resampled for the interval."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from eval.score.bootstrap import SEED, LeftOut, distribution, left_out
from eval.score.design_effect import design_effect, influences
from eval.score.groups import Members, members
from eval.score.intervals import Sampled, interval_of
from eval.score.measure import Answers, measure
from eval.score.metrics import OF_CLASSES, Array, Floats, label_counts, number, rows_per_class
from eval.score.paired import DistinctRows, distinct, scorer, seed_of
from mmafflm.benchmark.benchmark import Task
from mmafflm.benchmark.grammar import Labels

FEW_ROWS = 200  # with fewer rows, macro F1 is biased towards 0 and its interval is wide (docs/reference/inference.md)


class Draw(NamedTuple):
    """The number of resamples, and the seed."""

    resamples: int
    seed: int


class RowFacts(NamedTuple):
    """Facts about n rows. emotions: of each row, None unless each emotion is scored separately.

    groups: see groups_of(). unit: the kind of these groups, see unit_of().
    """

    emotions: Sequence[str | None] | None = None
    groups: Array | None = None
    unit: str = "row"

    def of(self, rows: Sequence[int] | Array) -> "RowFacts":
        """Only these rows."""
        emotions = None if self.emotions is None else [self.emotions[row] for row in rows]
        return RowFacts(emotions, None if self.groups is None else self.groups[rows], self.unit)


class Measured(NamedTuple):
    """Metrics and their intervals. about: unit, units and design effect, for scores.MODE.json; {} without resamples."""

    values: dict[str, float | None]
    ci95: dict[str, list[float] | None]
    about: dict[str, Any]


class _Part(NamedTuple):
    """Rows that are measured separately: those of a task, or of one of its emotions."""

    name: str
    rows: DistinctRows

    def measure(self, task: Task, mode: str, weights: Floats) -> dict[str, Floats]:
        """Every metric of the part [B]. weights [B, K]: how often its K distinct rows count in each of B weightings."""
        return measure(task, mode, self.rows.gold, self.rows.predictions[0], weights)


def measured(task: Task, mode: str, read: Answers, draw: Draw, asked: RowFacts) -> Measured:
    """Metrics and intervals. If `asked` has emotions, each is measured separately and a score is the mean over them."""
    parts = _parts(task, read, asked.emotions)
    together = members(asked.groups, _places(parts, asked.emotions))
    found: dict[str, dict[str, Floats]] = {}
    if together is None:  # each emotion has its own seed
        for part in parts:
            found |= _drawn(task, mode, [part], None, Draw(draw.resamples, draw.seed + seed_of(part.name) - SEED))
    else:  # a tweet is drawn with all its emotions
        found = _drawn(task, mode, parts, together, draw)
    drawn = next(iter(found.values()))
    if asked.emotions is not None:
        drawn = {name: np.mean([one[name] for one in found.values()], axis=0) for name in drawn}
        drawn |= {f"pearson_{emotion}": one["pearson"] for emotion, one in found.items()}
    values = {name: float(of[0]) if math.isfinite(of[0]) else None for name, of in drawn.items()}
    if not draw.resamples:
        return Measured(values, dict.fromkeys(values), {})
    units = len(read.gold) if together is None else together.units
    left, per_class = _of_classes(task, mode, parts[0], together)
    ci95 = {
        name: interval_of(name, Sampled(float(of[0]), of[1:], units, per_class, left.get(name)))
        for name, of in drawn.items()
    }
    return Measured(values, ci95, _about(read, asked, units))


def _parts(task: Task, read: Answers, emotions: Sequence[str | None] | None) -> list[_Part]:
    if emotions is None:
        return [_Part("", distinct(read.gold, [read.prediction]))]
    of = np.array(emotions, dtype=object)
    return [
        _Part(emotion, distinct(read.gold[of == emotion], [read.prediction[of == emotion]]))
        for emotion in task.emotions
        if (of == emotion).any()
    ]


def _places(parts: Sequence[_Part], emotions: Sequence[str | None] | None) -> Array:
    """The distinct row that each row equals; the numbers continue from part to part."""
    if emotions is None:
        return parts[0].rows.place
    of, places, start = np.array(emotions, dtype=object), np.zeros(len(emotions), dtype=np.int64), 0
    for part in parts:
        places[of == part.name] = part.rows.place + start
        start += len(part.rows.counts)
    return places


def _drawn(
    task: Task, mode: str, parts: Sequence[_Part], together: Members | None, draw: Draw
) -> dict[str, dict[str, Floats]]:
    """{part: every metric [1 + resamples]}. The first value is that of the rows themselves."""
    starts = np.cumsum([0, *(len(part.rows.counts) for part in parts)])

    def measure_all(weights: Floats) -> dict[str, Floats]:
        return {
            f"{part.name}\n{name}": values
            for at, part in enumerate(parts)
            for name, values in part.measure(task, mode, weights[:, starts[at] : starts[at + 1]]).items()
        }

    times = np.concatenate([part.rows.counts for part in parts])
    with np.errstate(invalid="ignore", divide="ignore"):  # a resample may lack an emotion of few rows: NaN
        whole = measure_all(times[None, :])
        resampled = distribution(measure_all, times, draw.resamples, draw.seed, together)
    found: dict[str, dict[str, Floats]] = {}
    for key, values in whole.items():
        part, _, name = key.partition("\n")
        found.setdefault(part, {})[name] = np.concatenate([values, resampled.get(key, values[:0])])
    return found


def _of_classes(task: Task, mode: str, part: _Part, together: Members | None) -> tuple[Mapping[str, LeftOut], float]:
    """The jackknife's values and rows_per_class(), for the intervals of means over classes; {} and inf for numbers."""
    if not isinstance(task.grammar, Labels):
        return {}, math.inf
    rows, counts = part.rows, part.rows.counts
    per_class = rows_per_class(label_counts(rows.gold, rows.predictions[0], counts[None, :]))

    def measure_classes(weights: Floats) -> dict[str, Floats]:
        found = part.measure(task, mode, weights)
        return {name: found[name] for name in OF_CLASSES if name in found}

    return left_out(measure_classes, counts, together), per_class


def _about(read: Answers, asked: RowFacts, units: int) -> dict[str, Any]:
    """The entries of scores.MODE.json about what was resampled."""
    if asked.groups is None or units == len(read.gold):
        return {"unit": "row"}
    effect = design_effect(influences(read.gold, read.prediction, asked.emotions), asked.groups)
    return {"unit": asked.unit, "units": units, "design_effect": None if effect is None else round(effect, 2)}


def attainable(read: Answers) -> float:
    """The macro F1 of a perfect model in strict mode: the share of the classes that occur in gold."""
    return float(read.gold.astype(bool).any(0).mean())


def beside(task: Task, mode: str, read: Answers, draw: Draw, asked: RowFacts) -> dict[str, Any]:
    """Further entries of a task in scores.MODE.json.

    For labels in strict mode "attainable", the macro F1 of a perfect model; for numbers "parsed", the main metric on
    the rows whose answers could be parsed.
    """
    if isinstance(task.grammar, Labels):
        return {"attainable": {"macro_f1": attainable(read)}} if mode == "strict" else {}
    metric = task.main_metric
    kept = np.array([row for row in range(len(read.gold)) if row not in read.unparsed], dtype=np.int64)
    if len(kept) < 2:
        return {"parsed": {"n": len(kept), "metrics": {metric: None}, "ci95": {metric: None}}}
    some = asked.of(kept)
    rows = distinct(read.gold[kept], [read.prediction[kept]], some.emotions, some.groups)
    score = scorer(task, mode, rows.gold, rows.predictions[0], rows.emotions)
    value = float(score(rows.counts[None, :])[metric][0])
    drawn = distribution(score, rows.counts, draw.resamples, draw.seed, rows.members).get(metric, np.array([]))
    units = len(kept) if rows.members is None else rows.members.units
    ends = interval_of(metric, Sampled(value, drawn, units)) if draw.resamples else None
    return {"parsed": {"n": len(kept), "metrics": {metric: number(value)}, "ci95": {metric: ends}}}


def few_rows_text() -> str:
    """The warning about macro F1 of few rows."""
    return f"fewer than {FEW_ROWS} rows: macro_f1 is biased towards 0, and its interval is wide"
