"""Computes the numbers that the charts show and results.json stores. Pure functions on arrays."""

from typing import Any

import numpy as np

from eval.score.measure import Answers
from eval.score.metrics import Array, Floats
from mmafflm.benchmark.benchmark import Task
from mmafflm.benchmark.grammar import Labels, Ordinal, Vad

BINS = 20  # bins of a distribution
PLACES = 41  # positions on each axis of a scatter plot; odd, so that one position is the middle of the scale


def tally(task: Task, read: Answers) -> dict[str, Any]:
    """Counts of one task's answers in strict mode.

    Unparsed answers count only under "unparsed" and, for labels and ordinals, in the number of gold rows of a class.
    """
    parsed = np.ones(len(read.gold), dtype=bool)
    parsed[list(read.unparsed)] = False
    grammar = task.grammar
    if isinstance(grammar, Labels):
        return {"kind": "labels", "several": grammar.most > 1} | _classes(
            list(grammar.names), read.gold, read.prediction, parsed
        )
    if isinstance(grammar, Ordinal):
        numbers = np.array([number for number, _ in grammar.classes])
        gold, prediction = (side[:, None] == numbers for side in (read.gold, read.prediction))
        return {"kind": "ordinal", "several": False} | _classes([str(one) for one in numbers], gold, prediction, parsed)
    names = grammar.dimensions if isinstance(grammar, Vad) else ("",)
    gold, prediction = (side.reshape(len(side), -1) for side in (read.gold, read.prediction))
    scale = (float(grammar.low), float(grammar.high))
    return {
        "kind": "number",
        "low": scale[0],
        "high": scale[1],
        "unparsed": len(read.unparsed),
        "dimensions": {
            name: _scale(gold[parsed, at], prediction[parsed, at], gold[:, at], scale) for at, name in enumerate(names)
        },
    }


def _classes(names: list[str], gold: Array, prediction: Array, parsed: Array) -> dict[str, Any]:
    """matrix[i][j]: the rows with gold class i and answer j. unparsed[i]: the rows with gold i and no parsed answer."""
    prediction = prediction & parsed[:, None]
    matrix = gold.astype(np.int64).T @ prediction.astype(np.int64)
    wanted, given = gold.sum(0), prediction.sum(0)
    hits = matrix.diagonal()
    return {
        "classes": names,
        "matrix": matrix.tolist(),
        "unparsed": (gold & ~parsed[:, None]).sum(0).tolist(),
        "gold": wanted.tolist(),
        "answered": given.tolist(),
        "precision": _shares(hits, given),
        "recall": _shares(hits, wanted),
        "f1": _shares(2 * hits, wanted + given),
    }


def _shares(above: Array, below: Array) -> list[float | None]:
    return [float(one / of) if of else None for one, of in zip(above, below, strict=True)]


def _scale(gold: Floats, prediction: Floats, all_gold: Floats, scale: tuple[float, float]) -> dict[str, Any]:
    """The numbers of one scale's scatter plot and distributions, and the measures of intensity drift."""
    low, high = scale
    edges = np.linspace(low, high, BINS + 1)
    of_gold, of_answers = np.histogram(gold, edges)[0], np.histogram(prediction, edges)[0]
    place = [np.clip(np.rint((side - low) / (high - low) * (PLACES - 1)), 0, PLACES - 1) for side in (gold, prediction)]
    places, counts = np.unique(np.column_stack(place).astype(int), axis=0, return_counts=True)
    spread = float(gold.std()) if len(gold) else 0.0
    n = len(gold)
    return {
        "n": n,
        "gold": of_gold.tolist(),
        "answered": of_answers.tolist(),
        "places": np.column_stack([places, counts]).tolist() if n else [],
        "mean_gold": float(all_gold.mean()) if len(all_gold) else None,
        "mean_answered": float(prediction.mean()) if n else None,
        "spread_ratio": float(prediction.std()) / spread if spread else None,
        "most_frequent_share": float(np.unique(prediction, return_counts=True)[1].max() / n) if n else None,
        "overlap": float(np.minimum(of_gold, of_answers).sum() / n) if n else None,
    }
