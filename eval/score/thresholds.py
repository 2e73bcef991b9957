"""Thresholds of a label set, from validation rows: on each label's share, for the best macro F1."""

from typing import NamedTuple

import numpy as np

from eval.score.metrics import Bools, Floats
from mmafflm.benchmark.grammar import Labels

ENOUGH = 5  # rows with a label, for a threshold of its own
CUTS = 200  # that are tried for the common one


class Fitted(NamedTuple):
    """ln of the share from which on each label is chosen, None for never; and the labels too rare for their own."""

    thresholds: dict[str, float | None]
    common: list[str]


def fit(labels: Labels, shares: Floats, gold: Bools) -> Fitted:
    """The thresholds that are best on these rows: log shares and gold [rows, labels], at least one row.

    Macro F1 is a mean over labels, so each label's own best F1 is its best. A label that fewer than ENOUGH rows have
    takes the threshold that is best when all labels take the same; one that none has (XED: neutral) is never chosen.
    """
    common = _common(shares, gold)
    rows = dict(zip(labels.names, gold.sum(0).tolist(), strict=True))
    thresholds: dict[str, float | None] = {
        name: _own(shares[:, at], gold[:, at]) if rows[name] >= ENOUGH else common if rows[name] else None
        for at, name in enumerate(labels.names)
    }
    return Fitted(thresholds, [name for name in labels.names if 0 < rows[name] < ENOUGH])


def _own(share: Floats, gold: Bools) -> float:
    """The cut with the highest F1; of equals the highest cut. Halfway between the two values that it parts."""
    order = np.argsort(-share, kind="stable")
    share, hits = share[order], gold[order].cumsum()
    f1 = 2 * hits / (np.arange(1, len(share) + 1) + hits[-1])
    f1[:-1][share[:-1] == share[1:]] = -1.0  # no cut parts equals
    at = int(f1.argmax())
    return float(share[at] if at + 1 == len(share) else (share[at] + share[at + 1]) / 2)


def _common(shares: Floats, gold: Bools) -> float:
    """The cut for all labels with the highest macro F1; of equals the highest."""
    cuts = np.unique(np.quantile(shares, np.linspace(0, 1, CUTS), method="lower"))[::-1]
    chosen = shares[None] >= cuts[:, None, None]  # [cuts, rows, labels]
    hits, given = (chosen & gold).sum(1), chosen.sum(1)
    f1 = 2 * hits / np.maximum(given + gold.sum(0), 1)
    return float(cuts[int(f1.mean(1).argmax())])
