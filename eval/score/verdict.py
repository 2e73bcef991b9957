"""Compare a parsed answer with gold: how far off it is, in words, and whether it counts as right."""

import numpy as np

from eval.score.measure import Answers
from eval.score.metrics import Array, Floats
from mmafflm.benchmark.benchmark import Task
from mmafflm.benchmark.grammar import Labels, Number, Vad

NEAR = 0.05  # of the scale: a number this close to gold counts as right in compare and browse; no score uses this


def errors(task: Task, read: Answers) -> Floats:
    """The error of each answer, [n] in 0..1; 1 for an unparsed answer.

    Labels: 1 - Jaccard. Numbers and ordinals: distance / width of the scale; for VAD the mean over the dimensions.
    """
    if isinstance(task.grammar, Labels):
        both = (read.gold & read.prediction).sum(1)
        wrong: Floats = 1 - both / np.maximum((read.gold | read.prediction).sum(1), 1)
    else:
        grammar = task.grammar
        distance = np.abs(read.gold - read.prediction) / (grammar.high - grammar.low)
        wrong = distance.reshape(len(distance), -1).mean(1)
    wrong[list(read.unparsed)] = 1.0
    return wrong


def right_rows(task: Task, read: Answers) -> Array:
    """Whether each row is right [n]: the exact label set or class; numbers off by at most NEAR of the scale's width."""
    if isinstance(task.grammar, Number | Vad):
        hits = np.abs(read.gold - read.prediction) <= NEAR * (task.grammar.high - task.grammar.low) + 1e-9
    else:
        hits = read.gold == read.prediction
    right: Array = hits.all(1) if hits.ndim == 2 else hits
    right[list(read.unparsed)] = False
    return right


def in_words(task: Task, error: float, off: float) -> str:
    """An error from errors() in words; `off`: the distance from gold, in the task's own units."""
    if error == 0:
        return "right"
    if isinstance(task.grammar, Labels):
        return "wrong" if error == 1 else f"partly right, Jaccard {1 - error:.2f}"
    return f"off by {off:.3f}"
