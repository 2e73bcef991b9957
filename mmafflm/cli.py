"""The command `mmafflm`: stand-in base models, plans, training, merged models, experiments."""

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
import yaml
from rich.console import Console
from rich.table import Table

import mmafflm.terminal.command as command
from mmafflm.dataset import Dataset
from mmafflm.listing import Listable, listing

app = command.App("Fine-tune Qwen2.5-VL into MMAFFLM with LLaMA-Factory.")


class StandInKind(StrEnum):
    """The stand-in base models."""

    nano = "nano"
    micro = "micro"
    pocket = "pocket"
    smollm2 = "smollm2"


Recipe = Annotated[Path, typer.Argument(help="a name such as mmafflm-7b (see mmafflm list), or a YAML file")]
Data = Annotated[Path, typer.Option(help="folder of a finished build")]
Gpus = Annotated[int | None, typer.Option(help="GPUs (or CPU processes) on each machine; all by default")]
Nodes = Annotated[int, typer.Option(help="number of machines")]
Base = Annotated[str | None, typer.Option(help="base model: a folder or a hub id; the recipe's by default")]
Fastest = Annotated[
    str | None,
    typer.Option(help="change the recipe to what is fastest on this card, such as H100-80; no card by default"),
]


@app.verb("mmafflm standin nano --out models/nano")
def standin(kind: StandInKind, out: Annotated[Path, typer.Option(help="folder to write the model to")]) -> None:
    """Make a small base model of the Qwen2.5-VL architecture that needs no hub and no GPU."""
    from mmafflm.standin.standin import make_standin

    make_standin(kind.value, out)


@app.verb("mmafflm plan mmafflm-7b --data data --gpus 8")
def plan(
    recipe: Recipe,
    data: Data,
    gpus: Gpus = None,
    nodes: Nodes = 1,
    base: Base = None,
    gpu: Annotated[
        str | None, typer.Option(help="fail if the run does not fit on this card, such as A100-80; no card by default")
    ] = None,
    fastest: Fastest = None,
) -> None:
    """Print the complete LLaMA-Factory config that train would run, or say why train would refuse.

    Estimates of memory, disk and time, and what fits on known cards, go to standard error.
    """
    from mmafflm.train.launch.reporters import reporter_faults
    from mmafflm.train.plan.fastest import plan_for
    from mmafflm.train.plan.forecast import notes, require_gpu
    from mmafflm.train.plan.plan import plan as make_plan
    from mmafflm.train.stream.similar import training_order

    opened = Dataset.open(data)
    made = plan_for(fastest, None, partial(make_plan, recipe, opened, gpus, nodes, base, None))
    training_order(made, opened)  # raises a Fault for data that train would refuse
    for note in (*made.notes, *notes(made, Path(made.config["output_dir"]))):
        command.say(note)
    for fault in reporter_faults(made):
        command.say(f"On this machine, train would refuse: {fault}")
    if gpu:
        require_gpu(made, gpu)
    print(yaml.safe_dump(made.config, sort_keys=False, allow_unicode=True), end="")


@app.verb("mmafflm train mmafflm-7b --data data --out runs/7b --gpus 8")
def train(
    recipe: Recipe,
    data: Data,
    out: Annotated[Path, typer.Option(help="folder of the run")],
    gpus: Gpus = None,
    nodes: Nodes = 1,
    node_rank: Annotated[int, typer.Option(help="this machine's number, from 0")] = 0,
    master: Annotated[
        str | None, typer.Option(help="HOST:PORT of machine 0, needed for several machines; none by default")
    ] = None,
    base: Base = None,
    fastest: Fastest = None,
    seed: Annotated[int | None, typer.Option(help="seed of training; the recipe's by default")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="resume from the last checkpoint in --out")] = False,
) -> None:
    """Train: write the complete config into the run's folder and launch LLaMA-Factory with it."""
    from mmafflm.train.run import train as run

    run(recipe, Dataset.open(data), out, gpus=gpus, nodes=nodes, node_rank=node_rank, master=master, base=base,
        fastest=fastest, seed=seed, resume=resume)  # fmt: skip


@app.verb("mmafflm export runs/7b-lora --out models/7b-lora")
def export(
    run: Annotated[Path, typer.Argument(help="folder of a finished training run")],
    out: Annotated[Path, typer.Option(help="folder for the model")],
) -> None:
    """Write a run as one plain model, its LoRA adapter merged into the base, with run.json next to the weights."""
    from mmafflm.train.export import export as write

    write(run, out)


@app.verb("mmafflm experiment languages --data data --out runs/experiments")
def experiment(
    file: Annotated[Path, typer.Argument(help="a name such as languages (see mmafflm list), or a YAML file")],
    data: Data,
    out: Annotated[Path, typer.Option(help="folder for mixes, runs, answers, reports; experiments can share it")],
    base: Base = None,
    recipe: Annotated[Path | None, typer.Option(help="recipe to train with; the experiment's by default")] = None,
    share: Annotated[float, typer.Option(help="factor for every number of the mixes, for a smaller run")] = 1.0,
    limit: Annotated[
        int | None, typer.Option(help="use at most this many test rows of each subset; all by default")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="train every arm with this many seeds, and compare over them")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only print the commands")] = False,
) -> None:
    """Run an experiment: mix, train, predict and compare. The tables go to standard output and OUT/NAME.md."""
    from mmafflm.train.experiment import run, steps

    asked = (file, Dataset.open(data), out, base, recipe, share, limit, seeds)
    if dry_run:
        for step in steps(*asked):
            print(step, "  # needs a server: OPENAI_BASE_URL, or the base model on loopback" if step.asks else "")
    else:
        print(run(*asked).read_text(encoding="utf-8"), end="")


@app.verb("mmafflm list recipes", name="list")
def list_(
    kind: Annotated[Listable | None, typer.Argument(help="the table to print; all by default")] = None,
) -> None:
    """List the names that commands accept: subsets, tasks, languages, recipes and experiments."""
    print("\n\n".join("\n".join(listing(one)) for one in ([kind] if kind else Listable)))


@app.verb("mmafflm doctor")
def doctor() -> None:
    """Check which parts of the training stack work on this machine, and which do not."""
    from mmafflm.doctor import examine

    table = Table("", "what", "found")
    for fine, what, found in examine():
        table.add_row("ok" if fine else "no", what, found)
    Console().print(table)


def main() -> None:
    """Run the console command `mmafflm`."""
    command.run(app, resumed=("train --resume", "experiment"))
