"""A finding: one number, its 95% interval, the threshold that it is compared with, and a sentence.

The verdict is "found" when the whole interval lies beyond the threshold and p is below LEVEL, "absent" when no part of
the interval lies beyond it, else "unsure", so that chance in a few rows neither proves nor rules out a fault. p is the
probability of a measured value at least this far beyond the threshold if the true value lies at the threshold. It is
corrected for all checks of the same kind (Holm), because some of hundreds of checks are beyond their threshold by
chance. With fewer than MIN_ROWS rows the verdict is always "unsure".
CHECKS contains the reason for each threshold; diagnosis.json repeats it next to the numbers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from scipy.special import bdtr, bdtrc, ndtri, stdtr  # scipy.stats has the same but takes half a second to import

from eval.score.bootstrap import RESAMPLES, distribution, interval
from eval.score.metrics import Floats
from eval.score.paired import holm

Z95 = float(-ndtri(0.025))
MIN_ROWS = 30  # after 0 of 30 rows, the true share may still be 10% (rule of three)
LEVEL = 0.01  # for each kind: at most 5% of the runs without a fault have a "found" (6% with --ablation prompt)
KINDS = ("intensity_drift", "language_collapse", "modality_ignorance", "prompt_dependence", "label_prior", "format")


class Check(NamedTuple):
    """What is measured, the threshold, the side of it that counts as a fault, and the reason for this threshold."""

    kind: str
    what: str
    side: str  # above | below
    threshold: float
    why: str
    is_share: bool = False  # whether the value is a share of n rows, so that p is binomial


CHECKS = {
    "spread": Check(
        "intensity_drift", "standard deviation of the answers / the one that the run's own r implies", "below", 0.5,
        "The answers of a calibrated predictor with correlation r have r times the standard deviation of gold, because "
        "uncertainty narrows them. Below half of that, they are narrower than uncertainty explains. An r below 0.3 "
        "counts as 0.3.",
    ),
    "top_share": Check(
        "intensity_drift", "share of the most frequent answer - the largest that gold or r explains", "above", 0.25,
        "The larger of two shares is subtracted: that of gold's most frequent value (zeros of CHSIMS, class 0 of "
        "EI-oc), and the largest share of one step in the answers of a calibrated predictor with the run's r. Above "
        "the threshold, a further quarter of all rows gets the same number, more than two of ten equal steps of a "
        "scale would have.",
    ),
    "calibration": Check(
        "intensity_drift", "mean |gold - answer| over the tenths of the scale beyond chance, share of the scale",
        "above", 0.1,
        "A tenth of the scale is one step of the coarsest intensity in the benchmark (CHSIMS, 0.2 of 2). Above it, "
        "answers are wrong by a step in a known direction, which a look-up table would correct.",
    ),
    "overlap": Check(
        "intensity_drift", "overlap of the distributions of answers and gold / the one that r implies", "below", 0.5,
        "One minus the overlap is the share of answers that would have to move to another tenth for the "
        "distributions to agree. The overlap is divided by that of a calibrated predictor with the run's r. Below "
        "half, it is smaller than uncertainty explains.",
    ),
    "kept": Check(
        "language_collapse", "score / English score", "below", 0.5,
        "Half of the English score. In the paper's tables by language (XED, MMS, SAMSEMO) MMAFFLM-3b and -7b keep at "
        "least 0.54 everywhere; in their worst language InternVL2.5-8B keeps 0.15 and EmoLlama-chat-7B 0.23.",
    ),
    "script_kept": Check(
        "language_collapse", "score of the rows in one script / English score", "below", 0.5,
        "The same limit as for a language. A tokenizer or an encoder that was not trained on a script fails in all its "
        "languages, and each of these languages alone may have too few rows to show it.",
    ),
    "language_lift": Check(
        "language_collapse", "macro F1 - best baseline that does not read the record, in this language", "below", 0.05,
        "At chance, a three-class task still keeps half of a mediocre English score. So a language is also compared "
        "with its own baselines (see lift).",
    ),
    "language_unparsed": Check(
        "language_collapse", "unparsed rate - English unparsed rate", "above", 0.05,
        "Five points of score are lost to the format alone, in this language and not in English. They are the "
        "half-width of an interval at 500 rows, the size of a language.",
    ),
    "foreign_prose": Check(
        "language_collapse", "share of answers with prose that is not English", "above", 0.05,
        "The prompt and its labels are English. One answer in twenty in another language is a habit, not an accident.",
        is_share=True,
    ),
    "changed": Check(
        "modality_ignorance", "share of answers that change when a modality is removed or replaced", "below", 0.05,
        "Greedy answers to the same question are identical, so the ablation causes every change. A model that scores 5 "
        "points above its prior must change at least 5% of its answers when the information is removed.",
        is_share=True,
    ),
    "lost": Check(
        "modality_ignorance", "score lost when a modality is removed or replaced", "below", 0.02,
        "Two points are the half-width of an interval at 2,500 rows (MELD). A smaller loss cannot be distinguished "
        "from no loss, so it does not show that the model uses the modality.",
    ),
    "moved": Check(
        "prompt_dependence", "share of answers that change when the question is asked in another form", "above", 0.1,
        "The record stays the same, so an answer that depends on the record only does not change. If one answer in ten "
        "changes, the choice of the prompt may change accuracy by ten points.",
    ),
    "shifted": Check(
        "prompt_dependence", "|score with another form of the question - score with the benchmark's form|",
        "above", 0.02,
        "About the half-width of an interval at 2,500 rows (MELD). A larger shift can change the order of models that "
        "their intervals distinguish.",
    ),
    "never_predicted": Check(
        "label_prior", "share of the classes with 10 gold rows or more that are never predicted", "above", 0.0,
        "If a class of 10 gold rows is predicted at the rate at which it occurs, no row gets it in one of 20,000 tests "
        "(Poisson). A class that is never predicted loses its whole share of macro F1. For an ordinal, the expected "
        "rate is that of a calibrated predictor with the run's r, which predicts the ends of the scale more rarely "
        "than they occur in gold.",
    ),
    "overpredicted": Check(
        "label_prior", "share of rows given the most over-used label - share of gold rows that have it", "above", 0.2,
        "One row in five gets a label that the label's frequency in gold does not explain. Mistakes that are equally "
        "frequent in both directions cause no such excess.",
    ),
    "lift": Check(
        "label_prior", "macro F1 - best of three baselines that do not read the record", "below", 0.05,
        "The baselines are the majority label, labels at gold's frequency, and the run's own answers dealt out at "
        "random. Five points are the half-width of an interval at 500 rows. Below them, the answers show no more than "
        "a prior.",
    ),
    "unparsed": Check(
        "format", "share of answers that were not parsed", "above", 0.01,
        "Strict scores count these answers as wrong, so their share is lost to the format and not to the judgement. "
        "One point can decide a ranking.", is_share=True,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """The result of one check on a task or a part of it (a dimension, a language, a script, an ablation)."""

    check: str
    subset: str
    task: str
    part: str
    value: float | None
    ci95: list[float] | None
    n: int
    sentence: str
    data: dict[str, Any] = field(default_factory=dict)
    own_p: float | None = None  # p of a check that computes it without the interval or the binomial distribution
    p_holm: float | None = None  # set by corrected()

    @property
    def kind(self) -> str:
        """The failure that the check looks for, one of KINDS."""
        return CHECKS[self.check].kind

    @property
    def verdict(self) -> str:
        """The verdict: found | absent | unsure."""
        p = self.p if self.p_holm is None else self.p_holm
        return verdict(self.check, self.ci95, self.n, 1.0 if p is None else p)

    @property
    def p(self) -> float | None:
        """The probability of a value at least this far beyond the threshold if the true value lies at the threshold.

        None without a value or an interval, and for fewer than MIN_ROWS rows.
        """
        check = CHECKS[self.check]
        if self.value is None or self.ci95 is None or self.n < MIN_ROWS:
            return None
        if self.own_p is not None:
            return self.own_p
        above = check.side == "above"
        if check.is_share:
            hits = round(self.value * self.n)
            return float(bdtrc(hits - 1, self.n, check.threshold) if above else bdtr(hits, self.n, check.threshold))
        apart = self.value - check.threshold if above else check.threshold - self.value
        error = (self.ci95[1] - self.ci95[0]) / (2 * Z95)
        return float(stdtr(self.n - 1, -apart / error)) if error > 0 else float(apart <= 0)

    def to_json(self) -> dict[str, Any]:
        """The object in diagnosis.json."""
        check = CHECKS[self.check]
        return {
            "kind": check.kind, "check": self.check, "subset": self.subset, "task": self.task, "part": self.part,
            "verdict": self.verdict, "p": self.p, "p_holm": self.p_holm, "value": self.value, "ci95": self.ci95,
            "threshold": check.threshold, "side": check.side, "n": self.n, "sentence": self.sentence, "data": self.data,
        }  # fmt: skip


def corrected(findings: Sequence[Finding]) -> list[Finding]:
    """The findings with p corrected for the checks of their kind (Holm)."""
    found = list(findings)
    for kind in KINDS:
        tested = [at for at, one in enumerate(found) if one.kind == kind and one.p is not None]
        for at, p in zip(tested, holm([found[at].p or 0.0 for at in tested]), strict=True):
            found[at] = replace(found[at], p_holm=p)
    return found


def verdict(check: str, ci95: list[float] | None, rows: int, p: float = 0.0) -> str:
    """The verdict from an interval and the threshold of a check, and from p and LEVEL: found | absent | unsure."""
    if ci95 is None or rows < MIN_ROWS:
        return "unsure"
    low, high = ci95
    side, threshold = CHECKS[check].side, CHECKS[check].threshold
    beyond = low > threshold if side == "above" else high < threshold
    clear = high <= threshold if side == "above" else low >= threshold
    return "found" if beyond and p < LEVEL else "absent" if clear else "unsure"


def share(hits: int, rows: int, seed: int, resamples: int = RESAMPLES) -> tuple[float | None, list[float] | None]:
    """A share of rows and its bootstrap interval, widened by the rule of three (3 / n) when the share is 0 or 1."""
    if not rows:
        return None, None
    counts = np.array([rows - hits, hits], dtype=float)

    def measured(weights: Floats) -> dict[str, Floats]:
        return {"share": weights[:, 1] / weights.sum(1)}

    low, high = interval(distribution(measured, counts, resamples, seed)["share"]) or [math.nan, math.nan]
    if hits == 0:
        high = min(1.0, 3 / rows)
    if hits == rows:
        low = max(0.0, 1 - 3 / rows)
    return hits / rows, [low, high]
