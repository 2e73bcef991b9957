"""`mmaffben paper-baselines`: predict with, score and rank every model of a list, one after the other.

Each step is a command that a user can type, and runs in its own process: when a model fails or its process crashes, the
other models still run. To resume a stopped run, run the same command again.
"""

import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from eval.ask.paper_models import PAPER, PaperModel, paper_models
from eval.score.measure import MODES
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault, UsageFault
from mmafflm.terminal.command import say

BOARD = "leaderboard"  # the folder of the tables in OUT, next to the models' folders


def paper_baselines(
    data: Dataset, out: Path, names: str | None = None, path: Path | None = None, limit: int | None = None,
    dry_run: bool = False, cluster: str | None = None,
) -> None:  # fmt: skip
    """Predict and score each model into OUT/NAME, and write the leaderboard of those that succeeded.

    names: only these models of the list. path: another list than the paper's. dry_run: print the commands only.
    cluster: a Ray cluster for the models that we run; requests to a server are sent from this machine.
    Raises Fault at the end with the models that failed, and at once for a model that accepts none of the test records
    or for an invalid list; UsageFault for an unknown name and for a list that is missing or not YAML.
    """
    models, failed, ranked = chosen(names, path or PAPER), list[str](), list[Path]()
    for number, model in enumerate(models, 1):
        if not dry_run:
            unsure = f" (not confirmed: {model.unconfirmed})" if model.unconfirmed else ""
            say(f"== {number} of {len(models)}: {model.name}, {model.hub}{unsure}")
        steps = list(commands(model, data, out, limit, cluster))
        at = next((words[0] for words in steps if not _run(words, dry_run)), None)
        if at is None:
            ranked.append(out / model.name)
        else:
            failed.append(f"{model.name} ({at})")
            say(f"{model.name}: {at} failed; continuing with the other models.")
    if ranked and not _run([BOARD, *map(str, ranked), "--data", str(data.path), "--out", str(out / BOARD)], dry_run):
        failed.append(BOARD)
    if failed:
        raise Fault(
            f"{len(failed)} of {len(models)} models failed: {', '.join(failed)}. The reasons are above. Once they are "
            "fixed, run the same command again: it computes only what is missing."
        )


def chosen(names: str | None, path: Path) -> list[PaperModel]:
    """The models with these names (separated by commas), in the order of the list; all models when None.

    Raises UsageFault for an unknown name.
    """
    models = paper_models(path)
    if names is None:
        return list(models)
    wanted = [name.strip() for name in names.split(",")]
    if unknown := [name for name in wanted if name not in {one.name for one in models}]:
        raise UsageFault(f"--models: {', '.join(unknown)} is not one of {', '.join(one.name for one in models)}")
    return [one for one in models if one.name in wanted]


def commands(
    model: PaperModel, data: Dataset, out: Path, limit: int | None, cluster: str | None = None
) -> Iterator[list[str]]:
    """The arguments of `mmaffben` for each step of one model: predict the subsets that it accepts, then score them in
    both modes. Raises Fault when the data have no test records that the model accepts."""
    names = [name for name in data.subsets("test") if benchmark()[name].modality in model.accepts]
    if not names:
        raise Fault(f"{data.path}: no test records that {model.name} accepts. Leave it out with --models.")
    run, of = str(out / model.name), ["--data", str(data.path)]
    options = [word for name, value in model.options.items() for word in ("--option", f"{name}={value}")]
    sample = [] if limit is None else ["--limit", str(limit)]
    if cluster is not None and model.engine != "openai":
        sample += ["--cluster", cluster]
    yield ["predict", "--ckpt", model.hub, *of, "--out", run, "--engine", model.engine, *options,
           "--subsets", ",".join(names), *sample]  # fmt: skip
    for mode in MODES:
        yield ["score", run, *of, "--mode", mode]


def _run(words: Sequence[str], dry_run: bool) -> bool:
    """Run one command as a user would, or print it; returns whether it succeeded.

    The tables that `score` prints are not shown, because the leaderboard has the scores.
    """
    if dry_run:
        print(shlex.join(["mmaffben", *words]))
        return True
    say(f"$ {shlex.join(['mmaffben', *words])}")
    hidden = subprocess.DEVNULL if words[0] == "score" else None
    step = subprocess.Popen([sys.executable, "-m", "eval", *words], stdout=hidden)
    try:
        return step.wait() == 0
    finally:
        if step.poll() is None:  # this process is being stopped: stop the step too; its answers stay on disk
            step.terminate()
            step.wait()
