"""Measures whether the probabilities of a readout are calibrated.

choice       The confidence is the share of the likeliest label, which is right if gold has this label. The Brier score,
             the expected calibration error (ECE) and the reliability curve come from these pairs, in bins of equal mass
             as in scikit-learn. This holds for label sets too, because the likelihood of each label is that of the
             label as the only answer (eval/score/readout.py).
expectation  Coverage is how often gold lies in the central 50%, 80% and 95% of the predicted distribution. Gold counts
             as the nearest candidate. A candidate that lies only partly within counts in part (the non-randomised
             probability integral transform of Czado, Gneiting and Held 2009), so calibrated probabilities have exactly
             the nominal coverage.

Pure functions: they need no disk and no model.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from eval.score.bootstrap import distribution, interval
from eval.score.groups import Members, groups_of, members
from eval.score.metrics import Array, Bools, Floats
from eval.score.readout import candidates, log_shares, varied
from mmafflm.benchmark.benchmark import Task
from mmafflm.benchmark.grammar import Labels, Vad
from mmafflm.records import Record

BINS = 10  # the number of bins, which have equal mass
LEAST = 10  # the fewest rows of a bin; with fewer than BINS * LEAST rows there are fewer bins
LEVELS = (0.5, 0.8, 0.95)


def calibration(
    task: Task, records: Sequence[Record], logp: Sequence[Sequence[float]], draw: tuple[int, int]
) -> dict[str, Any]:
    """The entry "calibration" of a task or a language in scores.strict.json.

    logp [n, candidates]: log-likelihoods. draw: number of resamples, seed.
    """
    together = members(groups_of(records), np.arange(len(records)))
    if isinstance(task.grammar, Labels):
        return {"n": len(records), **reliability(*believed(task, records, logp), draw, together)}
    names = task.grammar.dimensions if isinstance(task.grammar, Vad) else ("",)
    return {
        "n": len(records),
        "coverage": {name: _coverage(task, name, records, logp, (*draw, together)) for name in names},
    }


def believed(task: Task, records: Sequence[Record], logp: Sequence[Sequence[float]]) -> tuple[Floats, Bools]:
    """The probability of each row's likeliest label among all labels, [n], and whether gold has this label, [n]."""
    assert isinstance(task.grammar, Labels)
    shares, names = np.exp(log_shares(logp)), task.grammar.names
    tops = shares.argmax(1)
    right = [names[top] in record.gold for top, record in zip(tops, records, strict=True)]  # type: ignore[operator]
    return shares.max(1), np.array(right, dtype=bool)


def reliability(
    confidence: Floats, right: Bools, draw: tuple[int, int], together: Members | None = None
) -> dict[str, Any]:
    """ECE, Brier score and reliability curve of n rows, with 95% intervals.

    together: the groups to resample. ece_by_chance: the expected ECE of a perfectly calibrated model with equally many
    rows. Noise can only raise an ECE, so its interval is shifted by the bootstrap's estimate of this bias.
    """
    edges = np.percentile(confidence, np.linspace(0, 100, min(BINS, max(1, len(right) // LEAST)) + 1))
    place = np.searchsorted(edges[1:-1], confidence)  # as in scikit-learn's calibration_curve(strategy="quantile")
    member = (place[:, None] == np.unique(place)).astype(float)  # [n, bins]; equal confidences may leave a bin empty
    squares = (confidence - right) ** 2

    def measured(weights: Floats) -> dict[str, Floats]:
        rows, total = weights @ member, weights.sum(1)
        hits, sure = weights @ (member * right[:, None]), weights @ (member * confidence[:, None])
        with np.errstate(invalid="ignore"):  # a resample may have no row of a bin
            curve = {f"bin{at}": share for at, share in enumerate((hits / rows).T)}
        return {"ece": np.abs(hits - sure).sum(1) / total, "brier": weights @ squares / total, **curve}

    whole = {name: float(values[0]) for name, values in measured(np.ones((1, len(right)))).items()}
    drawn = distribution(measured, np.ones(len(right)), *draw, together)
    ends = {name: interval(values) for name, values in drawn.items()}
    if plain := ends.get("ece"):
        ends["ece"] = [max(0.0, end - float(drawn["ece"].mean()) + whole["ece"]) for end in plain]
    doubt = np.sqrt((member * (confidence * (1 - confidence))[:, None]).sum(0))
    return {
        **{name: whole[name] for name in ("ece", "brier")},
        "ci95": {name: ends.get(name) for name in ("ece", "brier")},
        "ece_by_chance": float(np.sqrt(2 / np.pi) * doubt.sum() / len(right)),  # in each bin E|x| of a normal x
        "curve": [
            {
                "n": int(member[:, at].sum()),
                "confidence": float(confidence[member[:, at] > 0].mean()),
                "right": whole[f"bin{at}"],
                "ci95": ends.get(f"bin{at}"),
            }
            for at in range(member.shape[1])
        ],
    }


def _coverage(
    task: Task,
    name: str,
    records: Sequence[Record],
    logp: Sequence[Sequence[float]],
    draw: tuple[int, int, Members | None],
) -> dict[str, Any]:
    """Coverage of one number or dimension, its mean predicted standard deviation, and the error of its expectation."""
    values, weighed = varied(task, name, np.asarray(logp, dtype=float))
    gold = np.array([one.gold[name] if isinstance(one.gold, dict) else one.gold for one in records], dtype=float)
    shares = np.exp(log_shares(weighed))
    mean = shares @ values
    spread = np.sqrt(np.maximum(shares @ values**2 - mean**2, 0.0))
    inside = covered(values, shares, gold)
    plain = np.ones(len(gold))

    def measured(weights: Floats) -> dict[str, Floats]:
        return {f"{level:g}": of for level, of in zip(LEVELS, (weights @ inside).T / weights.sum(1), strict=True)}

    whole, drawn = measured(plain[None, :]), distribution(measured, plain, *draw)
    return {
        "covered": {level: float(value[0]) for level, value in whole.items()},
        "ci95": {level: interval(drawn[level]) if level in drawn else None for level in whole},
        "spread": float(spread.mean()),
        "rmse": float(np.sqrt(((gold - mean) ** 2).mean())),
    }


def covered(values: Array, shares: Floats, gold: Floats) -> Floats:
    """The share of each row's gold candidate that lies in the central interval, from 0 to 1, [n, LEVELS].

    values [k]: the candidates, ascending. shares [n, k]: their probabilities. gold [n].
    """
    nearest = np.abs(gold[:, None] - values[None, :]).argmin(1)
    above = shares.cumsum(1)[np.arange(len(gold)), nearest]
    width = shares[np.arange(len(gold)), nearest]
    found = []
    for level in LEVELS:
        low, high = (1 - level) / 2, (1 + level) / 2
        within = np.minimum(above, high) - np.maximum(above - width, low)
        point = (above >= low) & (above <= high)  # a candidate without probability is a point of the distribution
        found.append(np.where(width > 1e-9, np.clip(within, 0, None) / np.maximum(width, 1e-9), point))
    inside: Floats = np.column_stack(found)
    return inside


def weighed_rows(
    task: Task, records: Sequence[Record], found: Mapping[str, Sequence[float]]
) -> list[Sequence[float]] | None:
    """The log-likelihoods of these records, [n, candidates]. None unless each row has one for each candidate."""
    rows = [found.get(record.id, ()) for record in records]
    fits = all(len(row) == len(candidates(task, record.emotion)) for row, record in zip(rows, records, strict=True))
    return rows if rows and fits else None
