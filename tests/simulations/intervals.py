"""How often the 95% intervals of `mmaffben score` contain the truth, in made-up benchmarks whose truth is known.

python -m tests.simulations.intervals [RUNS [TABLE ...]]     # the tables of docs/reference/inference.md; minutes
"""

import platform
import sys
from collections.abc import Callable, Iterator
from datetime import date
from typing import NamedTuple

import numpy as np

from eval.score.bootstrap import SEED
from eval.score.intervals import mean_ends
from eval.score.measure import Answers, measure
from eval.score.measured import Draw, RowFacts, measured
from eval.score.metrics import Array
from mmafflm.benchmark.benchmark import Task, benchmark

RESAMPLES = 300
LANGUAGES = 25
XED = benchmark()["XED"].tasks[0]
# of neutral, which XED has not, and its eight labels
EVEN = np.array([0, 0.22, 0.18, 0.15, 0.12, 0.11, 0.09, 0.07, 0.06])
SKEWED = np.array([0, 0.35, 0.22, 0.15, 0.10, 0.07, 0.05, 0.04, 0.02])


class World(NamedTuple):
    """A task, what draws a test of it with its groups, and the true score."""

    task: Task
    metric: str
    draw: Callable[[np.random.Generator], tuple[Answers, Array | None]]
    truth: float


class Covered(NamedTuple):
    """Shares of runs whose interval contains the truth or lies below it, and means over the runs."""

    covered: float
    below: float
    score: float
    width: float


def labels(rows: int, skill: float, frequencies: Array = EVEN) -> World:
    """XED's labels, one a row. A share `skill` of the answers is right, the others are drawn by frequency."""
    classes = len(frequencies)

    def draw(rng: np.random.Generator) -> tuple[Answers, None]:
        gold = rng.choice(classes, rows, p=frequencies)
        answer = np.where(rng.random(rows) < skill, gold, rng.choice(classes, rows, p=frequencies))
        every = np.eye(classes, dtype=bool)
        return Answers(every[gold], every[answer], {}), None

    truth = float(np.mean((skill + (1 - skill) * frequencies) * (frequencies > 0)))  # F1 = recall = precision
    return World(XED, "macro_f1", draw, truth)


def dialogues(groups: int, size: int) -> World:
    """MELD_SP: in some dialogues nearly all answers are right, in others few."""

    def draw(rng: np.random.Generator) -> tuple[Answers, Array]:
        skill = np.repeat(rng.beta(1.5, 1, groups), size)  # 0.6 in the mean
        gold = rng.integers(0, 3, groups * size)
        answer = np.where(rng.random(len(gold)) < skill, gold, (gold + 1) % 3)
        every = np.eye(3, dtype=bool)
        return Answers(every[gold], every[answer], {}), np.repeat(np.arange(groups), size)

    return World(benchmark()["MELD_SP"].tasks[0], "accuracy", draw, 0.6)


def films(groups: int, size: int) -> World:
    """CHSIMS_SI: the answers to the clips of one film are all too high or too low, and so is their gold."""

    def draw(rng: np.random.Generator) -> tuple[Answers, Array]:
        of = np.repeat(np.arange(groups), size)
        gold = 0.2 * rng.normal(size=groups)[of] + 0.2 * rng.normal(size=len(of))
        answer = gold + 0.2 * rng.normal(size=groups)[of] + 0.2 * rng.normal(size=len(of))
        return Answers(gold, answer, {}), of

    return World(benchmark()["CHSIMS_SI"].tasks[0], "pearson", draw, 1 / np.sqrt(2))


def intervals(world: World, runs: int, rows_only: bool = False, seed: int = 1) -> Iterator[tuple[float, list[float]]]:
    """The score and its interval in each run. rows_only: as if nothing were known of the groups."""
    rng = np.random.default_rng(seed)
    for run in range(runs):
        read, groups = world.draw(rng)
        facts = RowFacts(None, None if rows_only else groups, "group")
        found = measured(world.task, "strict", read, Draw(RESAMPLES, SEED + run), facts)
        value, ends = found.values[world.metric], found.ci95[world.metric]
        assert value is not None and ends is not None
        yield value, ends


def coverage(world: World, runs: int, rows_only: bool = False, seed: int = 1) -> Covered:
    """Of the intervals of `runs` tests."""
    return _covered(list(intervals(world, runs, rows_only, seed)), world.truth)


def coverage_of_means(world: World, runs: int, seed: int = 1) -> Covered:
    """Of the intervals of means over LANGUAGES tests, `runs` times."""
    found = list(intervals(world, runs * LANGUAGES, seed=seed))
    means = []
    for start in range(0, len(found), LANGUAGES):
        some = found[start : start + LANGUAGES]
        ends = mean_ends(world.metric, [[one] for one in some])
        assert ends is not None
        means.append((float(np.mean([value for value, _ in some])), list(ends)))
    return _covered(means, world.truth)


def percentiles(world: World, runs: int, seed: int = 1) -> Covered:
    """Of the plain percentiles of resampled rows, which is what the intervals were before."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(runs):
        read, _ = world.draw(rng)
        rows = len(read.gold)
        weights = rng.multinomial(rows, np.full(rows, 1 / rows), RESAMPLES).astype(float)
        drawn = measure(world.task, "strict", read.gold, read.prediction, weights)[world.metric]
        value = measure(world.task, "strict", read.gold, read.prediction, np.ones((1, rows)))[world.metric]
        found.append((float(value[0]), [float(end) for end in np.percentile(drawn, [2.5, 97.5])]))
    return _covered(found, world.truth)


def _covered(found: list[tuple[float, list[float]]], truth: float) -> Covered:
    inside = [low - 1e-9 <= truth <= high + 1e-9 for _, (low, high) in found]
    below = [high + 1e-9 < truth for _, (_, high) in found]
    widths, values = [high - low for _, (low, high) in found], [value for value, _ in found]
    return Covered(*(float(np.mean(one)) for one in (inside, below, values, widths)))


def of_dependence(runs: int) -> None:
    """Print what intervals over rows and over groups cover."""
    print("| dependent rows | truth | unit | coverage | width |\n|---|---|---|---|---|")
    worlds = {
        "accuracy, 280 dialogues of 9": dialogues(280, 9), "accuracy, 60 dialogues of 10": dialogues(60, 10),
        "accuracy, 12 dialogues of 20": dialogues(12, 20), "Pearson, 60 films of 8": films(60, 8),
        "Pearson, 20 films of 20": films(20, 20),
    }  # fmt: skip
    for name, world in worlds.items():
        for unit, rows_only in (("row", True), ("group", False)):
            one = coverage(world, runs, rows_only)
            print(f"| {name} | {world.truth:.3f} | {unit} | {one.covered:.3f} | {one.width:.3f} |", flush=True)


def of_classes(runs: int) -> None:
    """Print what intervals of macro F1 cover, and what percentiles of resampled rows would."""
    print("| macro F1 of XED's labels | rows | truth | mean score | percentiles cover | coverage | width |")
    print("|---|---|---|---|---|---|---|")
    models = (("even", 0.5, EVEN), ("even", 0.3, EVEN), ("perfect", 1.0, EVEN), ("skewed", 0.5, SKEWED))
    for name, skill, frequencies in models:
        for rows in (20, 60, 200, 500):
            world = labels(rows, skill, frequencies)
            one, old = coverage(world, runs), percentiles(world, runs)
            figures = f"{world.truth:.3f} | {one.score:.3f} | {old.covered:.3f} | {one.covered:.3f} | {one.width:.3f}"
            print(f"| {name} | {rows} | {figures} |", flush=True)


def of_means(runs: int) -> None:
    """Print what intervals of means over languages cover; an eighth of the runs, since each has 25 tests."""
    print("| mean of 25 languages | rows each | truth | mean score | coverage | width |\n|---|---|---|---|---|---|")
    for name, skill in (("even", 0.5), ("perfect", 1.0)):
        for rows in (20, 60, 200):
            world = labels(rows, skill)
            one = coverage_of_means(world, max(runs // 8, 2))
            figures = f"{world.truth:.3f} | {one.score:.3f} | {one.covered:.3f} | {one.width:.3f}"
            print(f"| {name} | {rows} | {figures} |", flush=True)


TABLES = {"dependence": of_dependence, "classes": of_classes, "means": of_means}


def main(runs: int, names: list[str]) -> None:
    """Print the tables named, or all."""
    print(f"{date.today()}, {platform.machine()}, {runs} runs a line, {RESAMPLES} resamples")
    for name in names or TABLES:
        print()
        TABLES[name](runs)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400, sys.argv[2:])
