"""One task's answers as arrays, and the task's metrics in strict and in paper mode (docs/reference/scoring.md)."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from eval.score import metrics
from eval.score import paper_parse as paper
from eval.score.metrics import Array, Floats
from eval.score.parse import Answer, Unparsed, parse
from mmafflm.benchmark.benchmark import Task
from mmafflm.benchmark.grammar import Gold, Labels, Ordinal, Vad
from mmafflm.records import Record

MODES = ("strict", "paper")
_POLARITIES = (-1, 0, 1, paper.UNKNOWN_POLARITY)


class Answers(NamedTuple):
    """Gold and predictions of n rows: labels [n, classes] as booleans, numbers [n], or dimensions [n, D]."""

    gold: Array
    prediction: Array
    unparsed: dict[int, str]  # {row: why its answer was not parsed}

    def of(self, rows: Sequence[int]) -> "Answers":
        """Only these rows."""
        chosen = {row: at for at, row in enumerate(rows)}
        unparsed = {chosen[row]: reason for row, reason in self.unparsed.items() if row in chosen}
        return Answers(self.gold[list(rows)], self.prediction[list(rows)], unparsed)


def answers(task: Task, records: Sequence[Record], texts: Sequence[str], mode: str) -> Answers:
    """Parse the answers to one task in `mode`; each distinct text is parsed once."""
    if mode == "strict":
        return strict(task, [record.gold for record in records], [record.emotion for record in records], texts)
    return _paper(task, records, texts)


def strict(task: Task, golds: Sequence[Gold], emotions: Sequence[str | None], texts: Sequence[str]) -> Answers:
    """Parse the answers of n rows in strict mode, from the rows' golds and emotions and the answers' texts."""
    read: dict[tuple[str, str | None], Answer | Unparsed] = {}
    prediction, unparsed = list[Gold](), dict[int, str]()
    for row, (true, text, emotion) in enumerate(zip(golds, texts, emotions, strict=True)):
        if (text, emotion) not in read:
            read[text, emotion] = parse(task, text, emotion)
        answer = read[text, emotion]
        if isinstance(answer, Unparsed):
            unparsed[row], answer = answer.reason, _wrong(task, true)
        prediction.append(answer)
    return Answers(_array(task, golds), _array(task, prediction), unparsed)


def _array(task: Task, values: Sequence[Any]) -> Array:
    """The values of n rows in the form of Answers."""
    if isinstance(task.grammar, Labels):
        place = {name: at for at, name in enumerate(task.grammar.names)}
        found = np.zeros((len(values), len(place)), dtype=bool)
        rows = [row for row, names in enumerate(values) for name in names if name in place]
        found[rows, [place[name] for names in values for name in names if name in place]] = True
        return found
    if isinstance(task.grammar, Vad):
        return np.array([[value[name] for name in task.grammar.dimensions] for value in values], dtype=float)
    return np.array(values, dtype=float)


def _wrong(task: Task, gold: Gold) -> Gold:
    """The value that replaces an unparsed answer: no label, or the admissible value farthest from gold."""
    grammar = task.grammar
    if isinstance(grammar, Labels):
        return []
    low, high = grammar.low, grammar.high

    def farthest(value: float) -> float:
        return high if value - low < high - value else low

    if isinstance(gold, dict):
        return {name: farthest(value) for name, value in gold.items()}
    assert not isinstance(gold, list)
    return farthest(gold)


def _paper(task: Task, records: Sequence[Record], texts: Sequence[str]) -> Answers:
    read = {text: paper.parse(task, text) for text in {*texts, *(record.answer for record in records)}}

    def column(values: list[paper.PaperValue]) -> Array:
        if task.paper_accuracy == "polarity":
            matrix: Array = np.array(values)[:, None] == np.array(_POLARITIES)
            return matrix
        return np.array(values, dtype=bool if isinstance(task.grammar, Labels) else float)

    return Answers(
        column([read[record.answer].value for record in records]),
        column([read[text].value for text in texts]),
        {row: "the published scorer's default" for row, text in enumerate(texts) if not read[text].found},
    )


def measure(task: Task, mode: str, gold: Array, prediction: Array, weights: Floats) -> dict[str, Floats]:
    """Every metric of a task, [B] each, for B weightings `weights` [B, n] of the rows. NaN if not defined."""
    if isinstance(task.grammar, Labels):
        return of_counts(task, mode, metrics.label_counts(gold.astype(bool), prediction.astype(bool), weights))
    gold, prediction = gold.astype(float), prediction.astype(float)
    if not isinstance(task.grammar, Vad):
        return _of_numbers(task, mode, gold, prediction, weights)
    names = task.grammar.dimensions
    parts = [_of_numbers(task, mode, gold[:, at], prediction[:, at], weights) for at in range(len(names))]
    # The mean over the dimensions is our addition; the paper reports the three dimensions.
    found = {metric: np.mean([part[metric] for part in parts], axis=0) for metric in parts[0]}
    return found | {f"pearson_{name}": part["pearson"] for name, part in zip(names, parts, strict=True)}


def of_counts(task: Task, mode: str, counts: metrics.Counts) -> dict[str, Floats]:
    """Every metric of a task whose answers are labels, [B] each."""
    polarity = task.paper_accuracy == "polarity"
    weighted = task.paper_accuracy == "weighted_jaccard"
    found = {"accuracy": metrics.weighted_jaccard(counts) if weighted else metrics.accuracy(counts)}
    if not polarity:
        found["micro_f1"] = metrics.micro_f1(counts)
    found["macro_f1_supported"] = metrics.macro_f1_supported(counts)
    if mode == "paper":  # polarity: only classes that occur (the unknown polarity is one); else: absent classes count 1
        return found | {"macro_f1": metrics.macro_f1(counts, zero_division=None if polarity else 1.0)}
    found["macro_f1"] = metrics.macro_f1(counts, zero_division=0.0)
    found["balanced_accuracy"] = metrics.balanced_accuracy(counts)
    return found | ({"subset_accuracy": metrics.accuracy(counts)} if weighted else {})


def _of_numbers(task: Task, mode: str, gold: Floats, prediction: Floats, weights: Floats) -> dict[str, Floats]:
    rows = (gold, prediction, weights)
    if mode == "paper":
        return {"pearson": metrics.pearson(*rows)}
    correlations: dict[str, Callable[..., Floats]] = {
        "pearson": metrics.pearson, "spearman": metrics.spearman, "ccc": metrics.ccc
    }  # fmt: skip
    if isinstance(task.grammar, Ordinal):
        correlations["qwk"] = metrics.qwk
    # The correlation of a constant is undefined: strict mode counts it as 0, and the notes report it.
    found = {name: np.nan_to_num(metric(*rows), nan=0.0) for name, metric in correlations.items()}
    found["mae"] = metrics.mae(*rows)
    if isinstance(task.grammar, Ordinal):
        classes = np.array([number for number, _ in task.grammar.classes])
        counts = metrics.label_counts(gold[:, None] == classes, prediction[:, None] == classes, weights)
        found |= {"accuracy": metrics.accuracy(counts), "balanced_accuracy": metrics.balanced_accuracy(counts)}
    return found


def majority(task: Task, gold: Array) -> Array:
    """The constant baseline's answers: the most frequent gold label or class, or the median of the gold numbers."""
    constant: Array
    if isinstance(task.grammar, Labels):
        constant = np.eye(gold.shape[1], dtype=bool)[gold.astype(float).sum(0).argmax()]
    elif isinstance(task.grammar, Ordinal):
        values, counts = np.unique(gold, return_counts=True)
        constant = values[counts.argmax()]
    else:
        constant = np.median(gold.astype(float), axis=0)
    return np.broadcast_to(constant, gold.shape)
