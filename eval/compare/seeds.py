"""`mmaffben compare A B --seeds N`: is B better than A by more than the chance in the rows and the training seeds?

Run k of A and run k of B were trained with the same seed, and all runs answered the same rows. The mean difference over
seeds has two standard errors. The error from the rows is the mean width of the paired 95% intervals, divided by twice
1.96 (as if all seeds shared the error of the rows, which is the largest that it can be). The error from the seeds is
the standard deviation of the differences over the square root of N. Each error times its own quantile, normal for the
rows and Student's t for the seeds, is half an interval. Half of the combined interval is the square root of the sum of
their squares. (One t quantile for both, with the degrees of freedom of Welch and Satterthwaite, covered 88% for two
seeds that vary more than the rows.) p is the level at which the interval ends at 0. The p-values are corrected together
(Holm).
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

from scipy.special import ndtri, stdtrit

from eval.compare.compare import compare_runs
from eval.run.join import run_json
from eval.score.paired import holm
from eval.tables import Section, fraction, interval_text
from mmafflm.dataset import Dataset
from mmafflm.errors import UsageFault
from mmafflm.records import write_text
from mmafflm.run_file import run_of

Z95 = float(-ndtri(0.025))
LEAST_P = 1e-12


class OverSeeds(NamedTuple):
    """A difference over seeds, with its 95% interval and two-sided p."""

    difference: float
    low: float
    high: float
    p: float
    rows_error: float  # standard errors
    seeds_error: float


def combined(differences: Sequence[float], widths: Sequence[float]) -> OverSeeds:
    """The mean difference over two seeds or more.

    differences: B - A for each seed. widths: the widths of the 95% intervals over rows, one for each seed.
    """
    from scipy.optimize import brentq  # takes a tenth of a second, and most comparisons are of one seed

    mean, rows = fmean(differences), fmean(widths) / (2 * Z95)
    seeds = stdev(differences) / len(differences) ** 0.5

    def half(p: float) -> float:
        return math.hypot(rows * ndtri(p / 2), seeds * stdtrit(len(differences) - 1, p / 2))

    wide = half(0.05)
    p = brentq(lambda p: half(p) - abs(mean), LEAST_P, 1.0) if 0 < abs(mean) < half(LEAST_P) else float(not mean)
    return OverSeeds(mean, mean - wide, mean + wide, p, rows, seeds)


def compare_seeds(
    a: Path,
    b: Path,
    seeds: int,
    data: Dataset,
    mode: str = "strict",
    subsets: Sequence[str] | None = None,
    anyway: bool = False,
) -> dict[str, Any]:
    """Compare the runs of each seed; write B/comparison.NAME.seeds.json, where NAME is A's folder.

    Each pair of runs also gets the files of compare_runs(). A run without folders of other seeds, such as an untrained
    base, is compared with every run of the other side: it adds an error from the rows and none from the seeds.
    Raises UsageFault for fewer than two seeds and when both sides have one run only, and whatever compare_runs raises.
    """
    sides = [[run_of(run, seed) for seed in range(1, seeds + 1)] for run in (a, b)]
    sides = [runs if any(one.exists() for one in runs[1:]) else runs[:1] * seeds for runs in sides]
    pairs = list(dict.fromkeys(zip(*sides, strict=True)))
    if len(pairs) < 2:
        raise UsageFault(f"--seeds {seeds}: neither {a} nor {b} has runs of other seeds, such as {run_of(b, 2).name}. "
                         "Train and predict 2 seeds or more.")  # fmt: skip
    for left, right in pairs:
        run_json(left), run_json(right)
    found = [compare_runs(left, right, data, mode, subsets, anyway) for left, right in pairs]
    units = _over(found, "units", ("subset", "task", "language", "metric"))
    means = _over(found, "aggregates", ("over", "group", "metric"))
    result = {"schema": 1, "mode": mode, "runs": [[str(one.resolve()) for one in pair] for pair in pairs],
              "units": units, "aggregates": means}  # fmt: skip
    text = json.dumps(result, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
    write_text(b / f"comparison.{a.resolve().name}.seeds.json", text)
    return result


def _over(found: Sequence[Mapping[str, Any]], table: str, keys: tuple[str, ...]) -> list[dict[str, Any]]:
    """The rows of one table of the comparisons, combined over seeds.

    A row that is not tested for one of the seeds, or a mean over different tasks, gets no difference.
    """
    by_key = [{tuple(row[key] for key in keys): row for row in one[table]} for one in found]
    rows = []
    for name in dict.fromkeys(name for of in by_key for name in of):
        same = [of.get(name, {}) for of in by_key]
        row, each = dict(zip(keys, name, strict=True)), [one.get("difference") for one in same]
        members = {str(one.get("of")) for one in same}  # the tasks in a mean, for each seed
        if len(members) > 1 or any(one.get(key) is None for one in same for key in ("p", "ci95", "difference")):
            rows.append(row | {"seeds": each, "difference": None, "ci95": None, "p": None})
            continue
        over = combined(each, [one["ci95"][1] - one["ci95"][0] for one in same])
        rows.append(row | {"seeds": each, "difference": over.difference, "ci95": [over.low, over.high], "p": over.p,
                           "rows_error": over.rows_error, "seeds_error": over.seeds_error})  # fmt: skip
    tested = [row for row in rows if row["p"] is not None]
    for row, p in zip(tested, holm([row["p"] for row in tested]), strict=True):
        row["p_holm"] = p
    return rows


def seed_tables(found: Mapping[str, Any]) -> tuple[list[Section], list[str]]:
    """A table of tasks and languages and one of means, and sentences about them."""
    number = len(found["runs"])
    heads = ("B - A over seeds", "95% interval", "p", "p (Holm)", "each seed", "error: rows", "error: seeds")
    sections = [
        Section(title, (*keys, *heads), [(*(str(row[key] or "") for key in keys), *_cells(row)) for row in found[name]])
        for title, name, keys in (
            (f"B against A over {number} seeds, {found['mode']} mode", "units",
             ("subset", "task", "language", "metric")),
            ("Means", "aggregates", ("over", "group", "metric")),
        )
    ]  # fmt: skip
    sure = [row for row in found["units"] if row["p"] is not None and row["p_holm"] < 0.05]
    better = sum(row["difference"] > 0 for row in sure)
    return sections, [
        f"Over {number} seeds B is better in {better} and worse in {len(sure) - better} of "
        f"{sum(row['p'] is not None for row in found['units'])} tests at p < 0.05 after Holm's correction.",
        "An interval covers the error from the test's rows and the error from the training seeds; with few seeds it is "
        "wide.",
    ]


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    each = ", ".join(fraction(one, signed=True) for one in row["seeds"])
    if row["p"] is None:
        return (*["-"] * 4, each, "-", "-")
    return (fraction(row["difference"], signed=True), interval_text(row["ci95"], signed=True), f"{row['p']:.4f}",
            f"{row['p_holm']:.4f}", each, fraction(row["rows_error"]), fraction(row["seeds_error"]))  # fmt: skip
