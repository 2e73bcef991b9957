"""`mmafflm experiment FILE`: run the mixes, trainings, predictions and comparisons that answer one question, in order.

An experiment is a YAML file in train_configs/experiments/. It has a recipe, arms and comparisons. An arm evaluates a
checkpoint: the recipe trained on a mix, the checkpoint of such an arm, or an existing one. Every step is a call of
mmaffin, mmafflm or mmaffben as a user types it, printed before it runs. No command does work twice, so the same
experiment continues where it was stopped. The mixes are written to OUT/data, but all arms are evaluated on the test
records of the original build, so that their answers can be compared. Experiments with the same OUT share the arms that
they have in common.
"""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault, UsageFault
from mmafflm.files.documents import first_wrong, read_yaml
from mmafflm.records import write_text
from mmafflm.run_file import read_run, run_of
from mmafflm.terminal.command import say
from mmafflm.train.launch.launch import STOP_S
from mmafflm.train.plan.recipe_file import read_recipe
from mmafflm.train.plan.shipped import EXPERIMENTS, find
from mmafflm.train.serve import served

ADDRESS = "OPENAI_BASE_URL"  # the variable with the address of the server that --engine openai uses


class Arm(BaseModel):
    """One side of a comparison: a checkpoint, and the engine and readout with which it is evaluated."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mix: str | None = None  # a mix file, relative to the experiment's folder; the recipe is trained on it
    ckpt: str | None = None  # without a mix: a checkpoint, or a model's name on the server; None: the base
    of: str | None = None  # without a mix: the name of a trained arm, whose checkpoint is evaluated here
    engine: str = "hf"
    readout: str = "greedy"


class Experiment(BaseModel):
    """A file of train_configs/experiments/."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    question: str
    recipe: str  # relative to the experiment's folder
    test: list[str] | None = None  # subsets; None: all that were built
    languages: list[str] | None = None  # languages of the test rows; None: all
    arms: dict[str, Arm]
    compare: list[tuple[str, str]]  # [A, B]: is B better than A?
    diagnose: list[str] = []


class Step(NamedTuple):
    """One command, as a user types it."""

    words: tuple[str, ...]
    title: str | None = None  # its standard output becomes a section of the report, under this title
    asks: bool = False  # whether it needs a server of the OpenAI protocol

    def __str__(self) -> str:
        return shlex.join(self.words)


def load(path: Path) -> Experiment:
    """Read the file of an experiment. Raises UsageFault for a missing or invalid file, with the first wrong key."""
    try:
        found = Experiment.model_validate(read_yaml(find(path, EXPERIMENTS, "experiment")))
    except ValidationError as error:
        raise UsageFault(f"{path}: {first_wrong(error)}.") from None
    named = {one for pair in found.compare for one in pair} | set(found.diagnose)
    if unknown := sorted(named - found.arms.keys()):
        raise UsageFault(f"{path}: {', '.join(unknown)} is not one of its arms ({', '.join(found.arms)}).")
    trained = {name for name, arm in found.arms.items() if arm.mix}
    if wrong := [name for name, arm in found.arms.items() if arm.of and (arm.mix or arm.of not in trained)]:
        raise UsageFault(
            f"{path}: arms.{wrong[0]}.of: the value must be an arm that has a mix, and an arm with `of` must have none."
        )
    if unknown := [name for name in found.test or () if name not in benchmark()]:
        raise UsageFault(f"{path}: test: {', '.join(unknown)} is not one of {', '.join(benchmark())}.")
    return found


def steps(
    path: Path, data: Dataset, out: Path, base: str | None, recipe: Path | None, share: float, limit: int | None,
    seeds: int = 1,
) -> list[Step]:  # fmt: skip
    """The commands of an experiment, in order. All mixes come first, so that a faulty mix is reported early.

    seeds: each mix is trained with this many seeds: the recipe's seed and the numbers after it. Raises UsageFault for
    an invalid experiment or recipe, and without a base model; Fault when the build has none of the test subsets.
    """
    experiment = load(path := find(path, EXPERIMENTS, "experiment"))
    recipe = recipe or path.parent / experiment.recipe
    keys = read_recipe(recipe)
    started, own = base or keys.get("model_name_or_path"), int(keys.get("seed", 42))
    if started is None:
        raise UsageFault(f"{recipe} has no base model (model_name_or_path). Pass --base DIR.")
    subsets = _subsets(experiment, path, data)
    asked = subsets + (() if limit is None else ("--limit", str(limit)))
    asked += () if experiment.languages is None else ("--languages", ",".join(experiment.languages))
    trained = {name: arm.mix for name, arm in experiment.arms.items() if arm.mix}
    mixes = [
        ("mmaffin", "mix", "--data", str(data.path), "--mix", str(path.parent / mix), "--out", str(out / "data" / name))
        + (("--share", f"{share:g}") if share != 1 else ())
        for name, mix in trained.items()
    ]
    trainings = [
        ("mmafflm", "train", str(recipe), "--data", str(out / "data" / name))
        + ("--out", str(run_of(out / "runs" / name, seed)))
        + (("--base", base) if base else ())
        + (("--seed", str(own + seed - 1), "--resume") if seed > 1 else ("--resume",))
        for name in trained
        for seed in range(1, seeds + 1)
    ]
    found = [Step(words) for words in (*mixes, *trainings)]
    answers = _answers(experiment, out)
    for name, arm in experiment.arms.items():
        trained_as = name if arm.mix else arm.of
        for seed in range(1, seeds + 1 if trained_as else 2):
            ckpt = str(run_of(out / "runs" / trained_as, seed)) if trained_as else arm.ckpt or started
            found += _asked(arm, ckpt, data, run_of(answers[name], seed), asked)
    return found + list(_sections(experiment, data, answers, subsets, seeds))


def _asked(arm: Arm, ckpt: str, data: Dataset, out: Path, asked: tuple[str, ...]) -> Iterator[Step]:
    """The commands that write the answers of a checkpoint to `out` and score them. asked: more flags of predict."""
    words = ("mmaffben", "predict", "--ckpt", ckpt, "--data", str(data.path), "--out", str(out))
    engine = () if arm.engine == "hf" else ("--engine", arm.engine)
    readout = () if arm.readout == "greedy" else ("--readout", arm.readout)
    yield Step((*words, *engine, *readout, *asked), asks=arm.engine == "openai")
    yield Step(("mmaffben", "score", str(out), "--data", str(data.path)))


def _answers(experiment: Experiment, out: Path) -> dict[str, Path]:
    """The folder of each arm's answers with the first seed. Its name contains the languages, because another experiment
    may evaluate the same arm in other languages.
    """
    languages = "".join(f"-{one}" for one in experiment.languages or ())
    return {name: out / "eval" / f"{name}{languages}" for name in experiment.arms}


def _subsets(experiment: Experiment, path: Path, data: Dataset) -> tuple[str, ...]:
    """The flag --subsets with those test subsets that were built; no flag when the experiment does not list any."""
    if experiment.test is None:
        return ()
    built = [name for name in experiment.test if name in data.subsets("test")]
    if not built:
        raise Fault(
            f"{data.path}: none of the subsets that {path} tests was built ({', '.join(experiment.test)}). Build one."
        )
    if lacking := [name for name in experiment.test if name not in built]:
        say(f"{', '.join(lacking)}: not in {data.path}, so not evaluated")
    return ("--subsets", ",".join(built))


def _sections(
    experiment: Experiment, data: Dataset, answers: Mapping[str, Path], subsets: tuple[str, ...], seeds: int
) -> Iterator[Step]:
    """The commands whose tables are the result of the experiment."""
    shown = ("--data", str(data.path), *subsets, "--markdown")
    for a, b in experiment.compare:
        words = ("mmaffben", "compare", str(answers[a]), str(answers[b]), *shown)
        words += ("--seeds", str(seeds)) if seeds > 1 else ()
        anyway = ("--anyway",) if experiment.arms[a].readout != experiment.arms[b].readout else ()
        yield Step((*words, *anyway), f"{b} (B) against {a} (A)")
    for name in experiment.diagnose:
        yield Step(("mmaffben", "diagnose", str(answers[name]), *shown), f"Diagnosis of {name}")


def run(
    path: Path, data: Dataset, out: Path, base: str | None, recipe: Path | None, share: float, limit: int | None,
    seeds: int = 1,
) -> Path:  # fmt: skip
    """Run an experiment into OUT and return its report, OUT/NAME.md. Raises Fault with the command that failed.

    It also raises what `steps` raises, and UsageFault when an arm in OUT has another recipe or base.
    """
    path = find(path, EXPERIMENTS, "experiment")
    experiment, todo = load(path), steps(path, data, out, base, recipe, share, limit, seeds)
    recipe = recipe or path.parent / experiment.recipe
    started = base or str(read_recipe(recipe)["model_name_or_path"])
    _require_same(experiment, out, recipe, started, seeds)
    sections = []
    for step in todo:
        with _server(step, started, data, out) as address:
            text = _do(step, address)
        if step.title:
            sections.append(f"## {step.title}\n\n`{step}`\n\n{text}")
    head = f"# {path.stem}: {experiment.question}\n\n{_arms(experiment, out, started)}"
    report = out / f"{path.stem}.md"
    write_text(report, "\n".join([head, *sections]))
    return report


def _require_same(experiment: Experiment, out: Path, recipe: Path, base: str, seeds: int) -> None:
    """Raises UsageFault when OUT holds an arm of this name that was trained from another recipe or base."""
    wanted = {"recipe": str(recipe), "base": str(Path(base).resolve()) if Path(base).is_dir() else base}
    runs = [out / "runs" / name for name, arm in experiment.arms.items() if arm.mix]
    for run in (run_of(one, seed) for one in runs for seed in range(1, seeds + 1)):
        there = read_run(run) or wanted
        for key, value in wanted.items():
            if there.get(key) != value:
                raise UsageFault(f"{run}: trained with {key} {there.get(key)}, not {value}. Choose another --out.")


def _server(step: Step, base: str, data: Dataset, out: Path) -> AbstractContextManager[dict[str, str]]:
    """Start a server for the base if a step needs one, and yield the environment variables that point to it.

    If OPENAI_BASE_URL already has the address of a server, none is started and nothing is added.
    """
    if step.asks and ADDRESS not in os.environ:
        return served(base, data.budget, out)
    return nullcontext({})


def _do(step: Step, address: dict[str, str]) -> str:
    """Run one step as a user would. Return its standard output if that becomes a section of the report, else ""."""
    command, *rest = step.words
    say(f"\n$ {step}")
    # The step gets its own session, so that Ctrl-C reaches only us. The step then has time to stop its own processes.
    process = subprocess.Popen(
        [str(Path(sys.executable).parent / command), *rest],
        env=os.environ | address,
        stdout=subprocess.PIPE if step.title else None,
        text=True,
        start_new_session=True,
    )
    try:
        text = process.communicate()[0]
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(2 * STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()  # the kernel then ends the processes that it started
        raise
    if process.returncode:
        raise Fault(f"the step failed (exit {process.returncode}): {step}. Its messages are above. Correct the cause, "
                    "then run the same command again to resume.")  # fmt: skip
    return text or ""


def _arms(experiment: Experiment, out: Path, base: str) -> str:
    """A table of the arms, with the numbers of examples and steps of each training."""
    rows = ["| arm | checkpoint | mix | examples | steps | engine | readout |", "|---|---|---|---:|---:|---|---|"]
    for name, arm in experiment.arms.items():
        trained = (read_run(out / "runs" / name) or {}) if arm.mix else {}
        told = (arm.mix or "-", trained.get("examples", "-"), trained.get("max_steps", "-"), arm.engine, arm.readout)
        rows.append(
            f"| {name} | {'trained' if arm.mix else arm.of or arm.ckpt or base} | {' | '.join(map(str, told))} |"
        )
    return "\n".join(rows) + "\n"
