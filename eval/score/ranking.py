"""How well a run's likelihoods rank the rows that have a label above the rows that do not, without any threshold.

The measure is the area under the ROC curve, averaged over labels (0.5: no better than chance). The rows are ranked by
the label's share of the probability of all labels, from RUN/likelihoods (`predict --readout choice`). Intervals come
from 1,000 paired bootstrap resamples of the rows.
"""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from scipy.special import log_softmax
from scipy.stats import rankdata

from eval.score.metrics import Floats
from mmafflm.benchmark.benchmark import Subset
from mmafflm.benchmark.grammar import Labels
from mmafflm.dataset import Dataset
from mmafflm.errors import UsageFault
from mmafflm.records import Record, read_jsonl

RESAMPLES = 1000


def mean_area(shares: Floats, gold: Floats) -> float:
    """The area under the ROC curve, averaged over the labels; shares and gold are [rows, labels].

    A label that every row has, or that no row has, is left out. The result is NaN when no label is left.
    """
    holds, lacks = gold.sum(axis=0), len(gold) - gold.sum(axis=0)
    there = (holds > 0) & (lacks > 0)
    ranks = (rankdata(shares, axis=0) * gold).sum(axis=0) - holds * (holds + 1) / 2
    return float(np.mean(ranks[there] / (holds * lacks)[there]))


def ranking(runs: Sequence[Path], data: Dataset, subset: Subset, languages: Sequence[str]) -> Iterator[str]:
    """Yield a line for each language and run: the mean area and its difference from the first run's, with intervals.

    languages: codes, or "all" for the rows of every language. Only rows with likelihoods in all runs count. Raises
    UsageFault for a subset with answers other than labels, a run without likelihoods, and a language without rows.
    """
    grammar = subset.tasks[0].grammar
    if not isinstance(grammar, Labels):
        raise UsageFault(f"{subset.name}: its answers are not labels, so there is nothing to rank.")
    logs = {run: _likelihoods(run, subset.name) for run in runs}
    asked = [row for row in data.records(subset.name, "test") if all(row.id in of for of in logs.values())]
    for language in languages:
        rows = [row for row in asked if language in ("all", row.language)]
        if not rows:
            raise UsageFault(f"{subset.name}: the runs have no row in {language} in common.")
        shares = {run: log_softmax([of[row.id] for row in rows], axis=1) for run, of in logs.items()}
        for run, text in zip(runs, _compared(list(shares.values()), _gold(grammar, rows)), strict=True):
            yield f"{subset.name}, {language}, {run.name}: n={len(rows)} {text}"


def _likelihoods(run: Path, subset: str) -> dict[str, list[float]]:
    path = run / f"likelihoods/{subset}.jsonl"
    if not path.is_file():
        words = ["mmaffben", "predict", "--readout", "choice", "--subsets", subset, "--out", str(run)]
        raise UsageFault(f"{path}: does not exist. Run: {shlex.join(words)}, with the run's --ckpt and --data")
    return {row["id"]: row["logp"] for row in read_jsonl(path)}


def _gold(grammar: Labels, rows: Sequence[Record]) -> Floats:
    return np.array([[float(name in row.gold) for name in grammar.names] for row in rows])  # type: ignore[operator]


def _compared(shares: Sequence[Floats], gold: Floats) -> Iterator[str]:
    """Yield a text for each run: its area and the difference from the first run's, with their intervals."""
    draw = np.random.default_rng(0)
    drawn = [draw.integers(0, len(gold), len(gold)) for _ in range(RESAMPLES)]
    areas = [np.array([mean_area(of[at], gold[at]) for at in drawn]) for of in shares]
    first = mean_area(shares[0], gold)
    for of, resampled in zip(shares, areas, strict=True):
        area = mean_area(of, gold)
        ends, apart = (np.percentile(one, [2.5, 97.5]) for one in (resampled, resampled - areas[0]))
        yield f"{area:.3f} [{ends[0]:.3f}, {ends[1]:.3f}], {area - first:+.3f} [{apart[0]:+.3f}, {apart[1]:+.3f}]"
