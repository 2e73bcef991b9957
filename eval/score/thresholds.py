"""Thresholds of a label set: the cut on each label's share that gives the best macro F1 on validation rows.

With fewer than LEAST_ROWS validation rows nothing is tuned: thresholds tuned on 60 rows gave a macro F1 of 0.344 on
these rows and 0.273 on test.
"""

from math import log
from typing import NamedTuple

import numpy as np

from eval.score.metrics import Bools, Floats
from mmafflm.benchmark.grammar import Labels

LEAST_ROWS = 300  # validation rows
ENOUGH = 5  # a label with at least this many rows has a threshold of its own
CUTS = 200  # cuts that are tried for the common threshold


class Fitted(NamedTuple):
    """Each label's threshold for ln of its share (None: never chosen), and the labels that use the common threshold."""

    thresholds: dict[str, float | None]
    common: list[str]


def fit(labels: Labels, shares: Floats, gold: Bools) -> Fitted:
    """The thresholds that are best on these rows. shares (log shares) and gold: [rows, labels], at least one row.

    Macro F1 is a mean over labels, so it is best when each label's F1 is best. A label with fewer than ENOUGH rows
    gets the common threshold, the best one when all labels have the same. A label without rows (XED: neutral) is never
    chosen.
    """
    common = _common(shares, gold)
    rows = dict(zip(labels.names, gold.sum(0).tolist(), strict=True))
    thresholds: dict[str, float | None] = {
        name: _own(shares[:, at], gold[:, at]) if rows[name] >= ENOUGH else common if rows[name] else None
        for at, name in enumerate(labels.names)
    }
    return Fitted(thresholds, [name for name in labels.names if 0 < rows[name] < ENOUGH])


def untuned(labels: Labels) -> Fitted:
    """The rule without enough validation rows: choose each label with at least the share of equally likely labels."""
    return Fitted(dict.fromkeys(labels.names, -log(len(labels.names))), [])


def _own(share: Floats, gold: Bools) -> float:
    """The cut with the highest F1; if several have it, the highest of them.

    It lies halfway between two neighbouring shares, or at the lowest share.
    """
    order = np.argsort(-share, kind="stable")
    share, hits = share[order], gold[order].cumsum()
    f1 = 2 * hits / (np.arange(1, len(share) + 1) + hits[-1])
    f1[:-1][share[:-1] == share[1:]] = -1.0  # no cut can separate equal shares
    at = int(f1.argmax())
    return float(share[at] if at + 1 == len(share) else (share[at] + share[at + 1]) / 2)


def _common(shares: Floats, gold: Bools) -> float:
    """The cut for all labels with the highest macro F1; of cuts with equal macro F1, the highest."""
    cuts = np.unique(np.quantile(shares, np.linspace(0, 1, CUTS), method="lower"))[::-1]
    chosen = shares[None] >= cuts[:, None, None]  # [cuts, rows, labels]
    hits, given = (chosen & gold).sum(1), chosen.sum(1)
    f1 = 2 * hits / np.maximum(given + gold.sum(0), 1)
    return float(cuts[int(f1.mean(1).argmax())])
