"""The commands of `mmaffben` for several models and for other harnesses, and the demo."""

from pathlib import Path
from typing import Annotated

import typer

import mmafflm.terminal.command as command
from eval.arguments import Cluster, Data, Harness, Subsets, names_of
from mmafflm.benchmark.benchmark import choose_subsets
from mmafflm.dataset import Dataset

app = command.App("")


@app.verb("mmaffben leaderboard runs/eval-a runs/eval-b --data data --out board")
def leaderboard(
    runs: Annotated[list[Path], typer.Argument(help="folders of scored runs, one row for each")],
    data: Data,
    out: Annotated[Path, typer.Option(help="folder for index.html and leaderboard.csv, .md, .tex and .json")],
) -> None:
    """Rank many scored runs on one page, with paired tests of each score; also as CSV, Markdown and LaTeX."""
    from eval.leaderboard.leaderboard import leaderboard as write

    print(write(runs, Dataset.open(data), out)[0])


@app.verb("mmaffben paper-baselines --data data --out runs/paper --models Llama-3.2-1B")
def paper_baselines(
    data: Data,
    out: Annotated[Path, typer.Option(help="folder for a run of each model, and for the leaderboard")],
    models: Annotated[str | None, typer.Option(help="names such as qwen2.5-vl-3b,GPT-4o-mini; all by default")] = None,
    list_: Annotated[
        Path | None, typer.Option("--list", help="YAML list of models; eval/ask/paper_models.yaml by default")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="sample at most this many rows of each subset; all by default")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the commands without running them")] = False,
    cluster: Cluster = None,
) -> None:
    """Run, score and rank the models that the paper evaluates. A failed model is reported, and the next one runs."""
    from eval.ask.paper_baselines import paper_baselines as run

    run(Dataset.open(data), out, models, list_, limit, dry_run, cluster)


@app.verb("mmaffben export-tasks --for lm-eval --data data --out tasks")
def export_tasks(
    harness: Annotated[Harness, typer.Option("--for", help="the harness that will run the model")],
    data: Data,
    out: Annotated[Path, typer.Option(help="folder for the tasks; its README.md has the commands")],
    subsets: Subsets = None,
    limit: Annotated[
        int | None, typer.Option(help="export only the rows that predict --limit selects; all by default")
    ] = None,
) -> None:
    """Write the benchmark as tasks for another harness, which then prints our scores; import its log with score."""
    from eval.export_tasks.export import export_tasks as export

    export(harness.value, Dataset.open(data), out, names_of(subsets), limit)


@app.verb("mmaffben ranking runs/base runs/7b --data data --subset XED")
def ranking(
    runs: Annotated[list[Path], typer.Argument(help="folders of predict --readout choice; the first is the baseline")],
    data: Data,
    subset: Annotated[str, typer.Option(help="a subset whose answers are labels, such as XED")],
    languages: Annotated[str, typer.Option(help="language codes such as en,es; all pools every language")] = "all",
) -> None:
    """Do likelihoods rank rows with a label above rows without it? The mean area under the ROC curve; chance is 0.5."""
    from eval.score.ranking import ranking as rank

    for line in rank(runs, Dataset.open(data), choose_subsets(subset)[0], languages.split(",")):
        print(line)


@app.verb("mmaffben demo --out demo")
def demo(
    out: Annotated[Path, typer.Option(help="folder for the data, the model and the runs")] = Path("demo"),
) -> None:
    """Run the whole pipeline on made-up corpora and a tiny random model, and show what it learned."""
    from eval.demo import demo as run

    run(out)
