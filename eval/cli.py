"""`mmaffben`: answers of a checkpoint, and their scores."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

import mmafflm.command as command
from mmafflm.benchmark import choose_subsets
from mmafflm.dataset import Dataset
from mmafflm.errors import UsageFault

app = command.app("Score checkpoints on the benchmark MMAFFBen.")


class Mode(StrEnum):
    """strict: an honest scorer; paper: the published scorer, answer for answer."""

    strict = "strict"
    paper = "paper"


Data = Annotated[Path, typer.Option(help="folder of a finished build")]
Subsets = Annotated[str | None, typer.Option(help="comma-separated; all that were built by default")]


def _names(subsets: str | None) -> list[str] | None:
    return None if subsets is None else [subset.name for subset in choose_subsets(subsets)]


@app.command()
def predict(
    ckpt: Annotated[str, typer.Option(help="checkpoint folder or hub id")],
    data: Data,
    out: Annotated[Path, typer.Option(help="folder of the run; the same one goes on")],
    subsets: Subsets = None,
    limit: Annotated[int | None, typer.Option(help="at most so many test rows a subset, drawn over its tasks")] = None,
    batch_size: Annotated[int, typer.Option(help="rows a batch; the answers do not depend on it")] = 16,
    force: Annotated[bool, typer.Option("--force", help="though the checkpoint had another media budget")] = False,
) -> None:
    """Ask a checkpoint every test record, greedily. Stopped at any point, the same command goes on."""
    from eval.predict import predict as run

    run(ckpt, Dataset.open(data), out, subsets=_names(subsets), limit=limit, batch_size=batch_size, force=force)


@app.command()
def score(
    run: Annotated[Path, typer.Argument(help="folder of the run")],
    data: Data,
    mode: Annotated[Mode, typer.Option(help="strict, or the published scorer with its quirks")] = Mode.strict,
    subsets: Subsets = None,
    import_: Annotated[
        Path | None, typer.Option("--import", help="LLaMA-Factory's generated_predictions.jsonl")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="the table as Markdown, on standard output")] = False,
) -> None:
    """Score a run and write scores.MODE.json beside it."""
    from eval.score import import_generated, score_run
    from eval.table import markdown_table, print_table

    dataset = Dataset.open(data)
    if import_ is not None:
        if subsets is None:
            raise UsageFault("--import needs --subsets: the file's rows carry no ids, so their subsets must be named")
        import_generated(import_, _names(subsets) or [], dataset, run)
    scores = score_run(run, dataset, mode.value, _names(subsets))
    if markdown:
        print(markdown_table(scores))
    else:
        print_table(scores)


def main() -> None:
    """The console command."""
    command.run(app)
