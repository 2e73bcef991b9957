"""How often compare and diagnose claim what is not there: the tables of docs/reference/inference.md.

python -m tests.simulations.claims [RUNS [TABLE ...]]     # RUNS simulations a line; 100 by default
"""

import platform
import random
import sys
from datetime import date

import numpy as np

from eval.compare.compare import compare
from eval.diagnosis.diagnose import diagnose
from eval.score.paired import distinct, scorer
from eval.score.permutation import SwappedRuns, judge
from mmafflm.benchmark.benchmark import benchmark
from tests.eval.diagnosis.test_honest_models import calibrated, honest
from tests.eval.made_runs import answered, noisy, records
from tests.eval.score.test_permutation import XED, drawn_labels
from tests.simulations.paired_bootstrap import paired_bootstrap

LEVEL = 0.05


def equal_runs(rows: int, runs: int) -> str:
    """Two equal runs on XED in all its languages, through compare()."""
    claims, means = 0, 0
    for seed in range(runs):
        asked = records("XED", rows, languages=benchmark()["XED"].languages, seed=seed)
        a, b = (answered(asked, noisy(0.5, 2 * seed + side)) for side in (0, 1))
        found = compare(a, b, permutations=2000, seed=seed).result
        claims += any(one["p_holm"] is not None and one["p_holm"] < LEVEL for one in found["units"])
        means += found["macro_over_languages"]["XED"]["p"] < LEVEL
    return f"| {rows} | {found['tests']} | {claims / runs:.3f} | {means / runs:.3f} |"


def one_test(rows: int, wrong: tuple[float, float], runs: int) -> str:
    """One test of XED's macro F1: how often p < 0.05, and how often the interval holds the true difference."""
    gold, *both = drawn_labels(np.random.default_rng(0), 200_000, wrong)
    each = SwappedRuns(XED, "strict", gold, both)
    truth = float((each.values(1)["macro_f1"] - each.values(0)["macro_f1"])[0])
    low, covered = np.zeros(2), np.zeros(2)
    for seed in range(runs):
        gold, *both = drawn_labels(np.random.default_rng([1, seed]), rows, wrong)
        pair = SwappedRuns(XED, "strict", gold, both)
        pair.draw(1000, seed)
        swapped = judge(pair.difference(0, 1)["macro_f1"], 100)
        kept = distinct(gold, both)
        measures = [scorer(XED, "strict", kept.gold, one) for one in kept.predictions]
        resampled = paired_bootstrap(measures[0], measures[1], kept.counts, "macro_f1", 1000, seed)
        ends = swapped.ci95 or [np.nan, np.nan]
        low += [(swapped.p or 0) < LEVEL, resampled.p < LEVEL]
        covered += [ends[0] <= truth <= ends[1], resampled.low <= truth <= resampled.high]
    cells = [f"{one / runs:.3f}" for one in (*low, *covered)]
    return f"| {rows} | {truth:.3f} | " + " | ".join(cells) + " |"


def guilty(runs: int) -> str:
    """Diagnoses of an honest model that find anything."""
    found = [diagnose(honest(seed), resamples=200) for seed in range(runs)]
    verdicts = [{one["check"] for one in of["findings"] if one["verdict"] == "found"} for of in found]
    alone = [{one["check"] for one in of["findings"] if _beyond(one)} for of in found]
    cells = [f"{sum(map(bool, of)) / runs:.3f}" for of in (verdicts, alone)]
    return f"| {len(found[0]['findings'])} | " + " | ".join(cells) + " |"


def _beyond(one: dict) -> bool:
    """Whether the whole interval lies beyond the threshold, without p."""
    if one["ci95"] is None or one["n"] < 30:
        return False
    low, high = one["ci95"]
    return bool(low > one["threshold"] if one["side"] == "above" else high < one["threshold"])


def spread(rows: int, r: float, runs: int) -> str:
    """A calibrated predictor's spread, and the share of runs in which it was called drifting."""
    values, found = [], 0
    for seed in range(runs):
        checks = diagnose(calibrated("CHSIMS_SI", "", rows, r, random.Random(seed)), resamples=200)["findings"]
        values.append(next(one["value"] for one in checks if one["check"] == "spread"))
        found += any(one["verdict"] == "found" for one in checks if one["kind"] == "intensity_drift")
    return f"| {r} | {rows} | {np.mean(values):.2f} | {found / runs:.3f} |"


def of_equal_runs(runs: int) -> None:
    """Print how often two equal runs differ."""
    print("| rows a language | tests | any claim after Holm | claim of the mean over languages |\n|---|---|---|---|")
    for rows in (20, 50, 100):
        print(equal_runs(rows, runs), flush=True)


def of_one_test(runs: int) -> None:
    """Print what swaps and bootstrap claim in one test; four times the runs, since each is small."""
    print("| rows | true difference | p < 0.05: swaps | bootstrap | interval covers: swaps | bootstrap |")
    print("|---|---|---|---|---|---|")
    for wrong in ((0.5, 0.5), (0.5, 0.35), (0.8, 0.2)):
        for rows in (20, 50, 200):
            print(one_test(rows, wrong, 4 * runs), flush=True)


def of_diagnosis(runs: int) -> None:
    """Print how often an honest model is found guilty."""
    print("| checks a run | runs with a finding | without p and its correction |\n|---|---|---|")
    print(guilty(runs), flush=True)


def of_spread(runs: int) -> None:
    """Print the spread of calibrated predictors."""
    print("| r | rows | spread / implied | called drifting |\n|---|---|---|---|")
    for r in (0.4, 0.6):
        print(spread(150, r, runs), flush=True)


TABLES = {"equal": of_equal_runs, "test": of_one_test, "diagnosis": of_diagnosis, "spread": of_spread}


def main(runs: int, names: list[str]) -> None:
    """Print the tables named, or all."""
    print(f"{date.today()}, {platform.machine()}, {runs} runs a line")
    for name in names or TABLES:
        print()
        TABLES[name](runs)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100, sys.argv[2:])
