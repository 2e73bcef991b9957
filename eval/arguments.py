"""The arguments that several commands of `mmaffben` share, and their allowed values."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mmafflm.benchmark.benchmark import choose_subsets
from mmafflm.cluster.connect import OPTION
from mmafflm.errors import UsageFault


class Mode(StrEnum):
    """strict: an answer that cannot be parsed counts as wrong; paper: the scores of the published scorer."""

    strict = "strict"
    paper = "paper"


class EngineName(StrEnum):
    """The program that runs the model; see eval/engines."""

    hf = "hf"
    vllm = "vllm"
    openai = "openai"


class Harness(StrEnum):
    """An evaluation harness of another project; see eval/export_tasks."""

    lm_eval = "lm-eval"
    lmms_eval = "lmms-eval"
    inspect = "inspect"
    vlmevalkit = "vlmevalkit"


class Readout(StrEnum):
    """How an answer is obtained from the model; see eval/score/readout.py."""

    greedy = "greedy"
    expectation = "expectation"
    choice = "choice"


class Ablation(StrEnum):
    """What is removed from the questions, or in which form they are written; see eval/ask/ablation.py."""

    none = "none"
    blank = "blank"
    shuffled = "shuffled"
    silent = "silent"
    order = "order"
    after = "after"
    wording = "wording"
    prompt = "prompt"


class Split(StrEnum):
    """Which records are evaluated: the benchmark's test records, or those that training holds out for validation."""

    test = "test"
    val = "val"


Data = Annotated[Path, typer.Option(help="folder that mmaffin build wrote")]
Run = Annotated[Path, typer.Argument(help="folder that mmaffben predict wrote (its --out)")]
Subsets = Annotated[str | None, typer.Option(help="names such as XED,MMS; all in the build or the run by default")]
Ckpt = Annotated[str, typer.Option(help="checkpoint folder or hub id; with openai, the model's name at the server")]
EngineOption = Annotated[
    list[str] | None, typer.Option(help="NAME=VALUE for the engine; may be repeated; none by default")
]
Limit = Annotated[
    int | None,
    typer.Option(help="sample at most this many rows of each subset, over its tasks and languages; all by default"),
]
Languages = Annotated[str | None, typer.Option(help="only rows in these languages, such as en,es; all by default")]
Force = Annotated[bool, typer.Option("--force", help="predict although it was trained on other picture sizes")]
Share = Annotated[str | None, typer.Option(help="I/N: answer only the I-th of N shares of the rows; all by default")]

Cluster = Annotated[str | None, typer.Option(help=OPTION)]


def names_of(subsets: str | None) -> list[str] | None:
    """The names in --subsets; None for all subsets. Raises UsageFault for an unknown name."""
    return None if subsets is None else [subset.name for subset in choose_subsets(subsets)]


def options_of(pairs: list[str] | None) -> dict[str, str]:
    """The values of --option as {name: value}. Raises UsageFault for one that is not NAME=VALUE."""
    split = [pair.partition("=") for pair in pairs or []]
    if bad := [name for name, equals, _ in split if not (name and equals)]:
        raise UsageFault(f"--option {bad[0]}: write NAME=VALUE")
    return {name: value for name, _, value in split}


def codes_of(languages: str | None) -> tuple[str, ...] | None:
    """The language codes in --languages; None for all languages."""
    return None if languages is None else tuple(one.strip() for one in languages.split(","))
