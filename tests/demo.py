"""`make demo`: the whole pipeline on made-up corpora and a one-million-parameter model, without GPU, hub or licences.

Every step is a command that a user can type; each is printed before it runs. A second `make demo` goes on where the
first was stopped.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mmafflm.benchmark import benchmark

LIMIT = 200  # test rows a subset: enough to see learning


def step(*words: str | Path) -> None:
    """Run one of the three commands, as a user would."""
    command, *rest = map(str, words)
    print(f"\n$ {command} {' '.join(rest)}", file=sys.stderr, flush=True)
    began = time.monotonic()
    done = subprocess.run([str(Path(sys.executable).parent / command), *rest], check=False)
    if done.returncode:
        sys.exit(done.returncode)
    print(f"  ({time.monotonic() - began:.0f} s)", file=sys.stderr, flush=True)


def headline(run: Path) -> dict[tuple[str, str], tuple[str, float, float]]:
    """(subset, task) -> (metric, value, share of unparsed answers) out of scores.strict.json."""
    found = {}
    for name, of in json.loads((run / "scores.strict.json").read_text())["subsets"].items():
        for key, one in (of.get("tasks") or {benchmark()[name].tasks[0].key: of}).items():
            metric = benchmark()[name].task(key).main_metric
            found[name, key] = (metric, one["metrics"][metric], one["unparsed"] / one["n"])
    return found


def main(out: Path) -> None:
    """Samples, build, nano, train, predict and score before and after, and a table that shows learning."""
    began = time.monotonic()
    raw, data, nano, run = (out / name for name in ("raw", "data", "nano", "run"))
    step("mmaffin", "samples", "--out", raw)
    step("mmaffin", "build", "--raw", raw, "--out", data)
    step("mmaffin", "check", "--data", data)
    step("mmafflm", "standin", "nano", "--out", nano)
    step("mmafflm", "train", "train_configs/nano.yaml", "--data", data, "--base", nano, "--out", run, "--resume")
    for name, checkpoint in (("before", nano), ("after", run)):
        step("mmaffben", "predict", "--ckpt", checkpoint, "--data", data, "--out", out / name, "--limit", str(LIMIT),
             "--batch-size", "32")  # fmt: skip
        step("mmaffben", "score", out / name, "--data", data)
    before, after = headline(out / "before"), headline(out / "after")
    table = Table()
    for head in ("subset", "task", "metric", "untrained", "trained", "unparsed", "then"):
        table.add_column(head, no_wrap=True)  # a name that is cut off is three subsets
    for key, (metric, value, unparsed) in after.items():
        _, was, unparsed_was = before[key]
        # without one parsed answer the score says only that: a failed parse counts as the worst admissible answer
        shown = "no answer" if unparsed_was == 1 else f"{was:.3f}"
        table.add_row(*key, metric, shown, f"{value:.3f}", f"{unparsed_was:.0%}", f"{unparsed:.0%}")
    Console(width=None if sys.stdout.isatty() else 100).print(table)
    better = sum(after[key][1] > before[key][1] for key in after)
    print(f"{better} of {len(after)} tasks better after training, {time.monotonic() - began:.0f} s in all.")
    print("Next: put real corpora under raw/ (mmaffin doctor --raw raw says how), then make mmaffin, make train-7b,")
    print("make eval CKPT=runs/train-7b. Without GPUs: mmafflm standin pocket, and train_configs/pocket.yaml.")
    if better <= len(after) // 2:
        sys.exit("the model did not learn: fewer than half of the tasks are better. Please report this.")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
