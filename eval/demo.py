"""`mmaffben demo`: the whole pipeline on made-up corpora and a model of one million parameters, without GPU or hub.

Every step is a command that a user can type, and is printed before it runs. To resume a stopped demo, run the same
command again.
"""

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from eval.score.baselines import Baseline, beats_baselines, learned, strongest
from eval.score.figure import Figure, figure
from eval.tables import fraction
from mmafflm.benchmark.benchmark import benchmark

LIMIT = 200  # test rows per subset: enough to see that the model learns


def step(*words: str | Path) -> None:
    """Run one of the three commands, as a user would. Exits with its exit code when it fails."""
    command, *rest = map(str, words)
    print(f"\n$ {shlex.join([command, *rest])}", file=sys.stderr, flush=True)
    began = time.monotonic()
    done = subprocess.run([str(Path(sys.executable).parent / command), *rest], check=False)
    if done.returncode:
        sys.exit(done.returncode)
    print(f"  ({time.monotonic() - began:.0f} s)", file=sys.stderr, flush=True)


class Score(NamedTuple):
    """One task's main metric, and whether its whole interval lies above the strongest baselines.

    baseline: the strongest baseline that learns nothing; beats_untrained: the interval lies above it. learned: the
    TF-IDF baseline, for tasks with texts; beats_all: the interval lies above both.
    """

    metric: str
    figure: Figure
    baseline: Baseline | None
    learned: float | None
    beats_untrained: bool
    beats_all: bool


def headline(run: Path) -> dict[tuple[str, str], Score]:
    """{(subset, task): score}, from scores.strict.json."""
    found = {}
    for name, of in json.loads((run / "scores.strict.json").read_text())["subsets"].items():
        for key, one in (of.get("tasks") or {benchmark()[name].tasks[0].key: of}).items():
            task = benchmark()[name].task(key)
            metric = task.main_metric
            found[name, key] = Score(
                metric, figure(one, metric), strongest(task, one, trained=False), learned(task, one),
                beats_baselines(task, one, trained=False), beats_baselines(task, one),
            )  # fmt: skip
    return found


def show(before: dict[tuple[str, str], Score], after: dict[tuple[str, str], Score]) -> None:
    """Print both scores of each task and the unparsed shares.

    One star: the score beats the baseline. Two stars: it beats TF-IDF too.
    """
    table = Table()
    for head in ("subset", "task", "metric", "baseline", "TF-IDF", "untrained", "trained", "unparsed", "then"):
        table.add_column(head, no_wrap=True)  # a shortened name could be any of three subsets
    for key, then in after.items():
        both = (before[key], then)
        values = (f"{fraction(one.figure.value)} {'*' * (one.beats_untrained + one.beats_all)}" for one in both)
        shares = (f"{one.figure.unparsed / one.figure.n:.0%}" for one in both)
        table.add_row(*key, then.metric, str(then.baseline), fraction(then.learned), *values, *shares)
    Console(width=None if sys.stdout.isatty() else 126).print(table)


def demo(out: Path) -> None:
    """Make samples, build, make nano, train, predict and score before and after; write a report.

    Prints a table of the scores before and after training. Exits with 1 when the model did not learn, and with the exit
    code of the first command that fails.
    """
    began = time.monotonic()
    raw, data, nano, run = (out / name for name in ("raw", "data", "nano", "run"))
    step("mmaffin", "samples", "--out", raw)
    step("mmaffin", "build", "--raw", raw, "--out", data)
    step("mmaffin", "check", "--data", data)
    step("mmafflm", "standin", "nano", "--out", nano)
    step("mmafflm", "train", "nano", "--data", data, "--base", nano, "--out", run, "--resume")
    for name, checkpoint in (("before", nano), ("after", run)):
        step("mmaffben", "predict", "--ckpt", checkpoint, "--data", data, "--out", out / name, "--limit", str(LIMIT),
             "--batch-size", "32")  # fmt: skip
        step("mmaffben", "score", out / name, "--data", data)
    step("mmaffben", "report", out / "after", out / "before", "--data", data, "--out", out / "report.html")
    before, after = headline(out / "before"), headline(out / "after")
    show(before, after)
    counts = [sum(one.beats_untrained for one in scores.values()) for scores in (before, after)]
    print(
        f"Whole 95% interval above the strongest baseline that learns nothing (*): {counts[0]} of {len(before)} tasks "
        f"before training, {counts[1]} of {len(after)} after; {time.monotonic() - began:.0f} s in all."
    )
    best = [sum(one.beats_all for one in scores.values()) for scores in (before, after)]
    print(f"Above TF-IDF too, where there are texts (**): {best[0]} before, {best[1]} after. The made-up texts "
          "have few phrases, so TF-IDF is nearly perfect on them.")  # fmt: skip
    print(f"The report: {out / 'report.html'}")
    print("Next: put real corpora under raw/ (mmaffin doctor --raw raw says how), then make mmaffin, make train-7b,")
    print("make eval CKPT=runs/train-7b. Without GPUs: mmafflm standin pocket, and the recipe pocket.")
    if counts[1] <= max(counts[0], len(after) // 3):  # we measured 18 of 30; it depends on how the CPU rounds
        sys.exit("The model did not learn: too few tasks beat the baselines that learn nothing. Please report this.")
