"""`python -m tests.ranking DATA SUBSET LANGUAGES RUN [RUN ...]`: do a run's likelihoods rank the gold labels?

The mean over labels of the area under the ROC curve (0.5: no better than chance), of rows that hold a label against
rows that do not, by the label's share in RUN/likelihoods (`--readout choice`); no threshold has a part in it. Intervals
are of 1,000 paired bootstrap resamples, differences those to the first run. LANGUAGES: such as en,es, or all.
"""

import json
import sys
from pathlib import Path

import numpy as np
from scipy.special import log_softmax
from scipy.stats import rankdata

from eval.metrics import Floats
from mmafflm.benchmark import benchmark
from mmafflm.dataset import Dataset
from mmafflm.grammar import Labels
from mmafflm.records import read_jsonl

RESAMPLES = 1000


def mean_area(shares: Floats, gold: Floats) -> float:
    """Of rows x labels; a label that all rows hold, or none, has no area."""
    holds, lacks = gold.sum(axis=0), len(gold) - gold.sum(axis=0)
    there = (holds > 0) & (lacks > 0)
    ranks = (rankdata(shares, axis=0) * gold).sum(axis=0) - holds * (holds + 1) / 2
    return float(np.mean(ranks[there] / (holds * lacks)[there]))


def main(data: str, subset: str, languages: str, *runs: str) -> None:
    """Print a line for each run and language."""
    grammar = benchmark()[subset].tasks[0].grammar
    assert isinstance(grammar, Labels)
    logs = {
        run: {row["id"]: row["logp"] for row in read_jsonl(Path(run) / f"likelihoods/{subset}.jsonl")} for run in runs
    }
    asked = [
        row for row in Dataset.open(Path(data)).records(subset, "test") if all(row.id in of for of in logs.values())
    ]
    for language in languages.split(","):
        rows = [row for row in asked if language in ("all", row.language)]
        gold = np.array([[float(name in row.gold) for name in grammar.names] for row in rows])  # type: ignore[operator]
        shares = {run: log_softmax([of[row.id] for row in rows], axis=1) for run, of in logs.items()}
        draw = np.random.default_rng(0)
        drawn = [draw.integers(0, len(rows), len(rows)) for _ in range(RESAMPLES)]
        areas = {run: np.array([mean_area(of[at], gold[at]) for at in drawn]) for run, of in shares.items()}
        first = mean_area(shares[runs[0]], gold)
        for run, of in shares.items():
            area = mean_area(of, gold)
            ends, apart = (np.percentile(one, [2.5, 97.5]) for one in (areas[run], areas[run] - areas[runs[0]]))
            print(
                json.dumps([subset, language, len(rows), Path(run).name]),
                f"{area:.3f} [{ends[0]:.3f}, {ends[1]:.3f}], {area - first:+.3f} [{apart[0]:+.3f}, {apart[1]:+.3f}]",
            )


if __name__ == "__main__":
    main(*sys.argv[1:])
