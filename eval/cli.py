"""The command `mmaffben`: generate a checkpoint's answers and score them."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

import mmafflm.terminal.command as command
from eval import cli_many
from eval.arguments import (
    Ablation,
    Ckpt,
    Cluster,
    Data,
    EngineName,
    EngineOption,
    Force,
    Languages,
    Limit,
    Mode,
    Readout,
    Run,
    Share,
    Split,
    Subsets,
    codes_of,
    names_of,
    options_of,
)
from mmafflm.dataset import Dataset
from mmafflm.errors import UsageFault

app = command.App(
    "Score checkpoints on the benchmark MMAFFBen: predict, score, diagnose and report, in this order (make eval does "
    "all four); compare tests one run against another."
)


@app.verb("mmaffben predict --ckpt runs/7b --data data --out runs/eval-7b")
def predict(
    ckpt: Ckpt,
    data: Data,
    out: Annotated[Path, typer.Option(help="folder for the answers; an existing run is resumed")],
    engine: Annotated[EngineName, typer.Option(help="transformers here, vLLM here, or a server")] = EngineName.hf,
    option: EngineOption = None,
    readout: Annotated[Readout, typer.Option(help="text, mean number, or likeliest labels")] = Readout.greedy,
    subsets: Subsets = None,
    limit: Limit = None,
    languages: Languages = None,
    split: Annotated[Split, typer.Option(help="val is for watching a training run")] = Split.test,
    batch_size: Annotated[int, typer.Option(help="rows a batch; the answers do not depend on it")] = 16,
    force: Force = False,
    ablation: Annotated[
        Ablation, typer.Option(help="grey or others' pictures, no text, other prompts")
    ] = Ablation.none,
    shard: Share = None,
    jobs: Annotated[int | None, typer.Option(help="workers; 1 by default, one per GPU with --cluster")] = None,
    cluster: Cluster = None,
) -> None:
    """Generate a checkpoint's answers to all records. Run the same command again to resume."""
    from eval.ask.predict import predict as run
    from eval.ask.prompts import predict_prompts
    from eval.engines.cluster import on_cluster
    from eval.run.checkpoint import budget_for, positions_note
    from mmafflm.shard import WHOLE, Shard

    if note := positions_note(ckpt):
        command.say(note)
    dataset, names, spoken, made = Dataset.open(data), names_of(subsets), codes_of(languages), options_of(option)
    asks = predict_prompts if ablation is Ablation.prompt else partial(run, ablation=ablation.value)
    ask = partial(asks, ckpt, dataset, out, names, limit=limit, languages=spoken, batch_size=batch_size, force=force,
                  split=split.value, readout=readout.value)  # fmt: skip
    if cluster is None and jobs in (None, 1):
        ask(engine=engine.value, options=made, shard=Shard.parse(shard) if shard else WHOLE)
        return
    if shard is not None:
        raise UsageFault("--jobs and --cluster distribute the rows themselves: leave out --shard")
    with on_cluster(engine.value, ckpt, data, budget_for(ckpt, dataset.budget, force), made, cluster, jobs) as workers:
        ask(engine=workers)


@app.verb("mmaffben score runs/eval-7b --data data")
def score(
    run: Run,
    data: Data,
    mode: Annotated[Mode, typer.Option(help="strict, or the published scorer with its quirks")] = Mode.strict,
    subsets: Subsets = None,
    import_: Annotated[
        list[Path] | None,
        typer.Option(
            "--import", help="make RUN from another tool's answers (with ids, or LLaMA-Factory's); none by default"
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="with --import: the predict --limit that chose the rows; all rows by default")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="the table as Markdown, on standard output")] = False,
) -> None:
    """Score the answers of a run and write RUN/scores.MODE.json.

    strict: an answer that cannot be parsed counts as wrong.
    paper: as the published scorer, with its quirks, to compare with the paper.
    """
    from eval.run.import_answers import import_answers
    from eval.score.score import score_run
    from eval.score.score_table import tables
    from eval.tables import show

    dataset = Dataset.open(data)
    names = names_of(subsets)
    if import_:
        in_order = None if subsets is None else [name.strip() for name in subsets.split(",") if name.strip()]
        import_answers(import_, dataset, run, in_order, limit)
    elif limit is not None:
        raise UsageFault("--limit needs --import: run.json has the limit of a run of predict. Leave it out.")
    scores = score_run(run, dataset, mode.value, names)
    show(*tables(scores), markdown)


@app.verb("mmaffben diagnose runs/eval-7b --data data")
def diagnose(
    run: Run,
    data: Data,
    ablated: Annotated[
        list[Path] | None,
        typer.Option(help="a run of predict --ablation on the same rows; may be repeated; none by default"),
    ] = None,
    subsets: Subsets = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="the tables as Markdown, on standard output")] = False,
) -> None:
    """Look for the failures that the paper names; write RUN/diagnosis.json.

    Intensity drift, language collapse, modality ignorance and prompt dependence
    (these two need --ablated), label prior and format: each check has a value,
    a 95% interval and a threshold, and is found, absent or unsure.
    """
    from eval.diagnosis.diagnose import diagnose_run
    from eval.diagnosis.summary import summary
    from eval.tables import show

    show(*summary(diagnose_run(run, Dataset.open(data), ablated or [], names_of(subsets))), markdown)


@app.verb("mmaffben compare runs/eval-base runs/eval-7b --data data")
def compare(
    a: Annotated[Path, typer.Argument(help="folder of the run to compare with, such as the base model's")],
    b: Annotated[
        list[Path], typer.Argument(help="folders of the runs to compare with A; each gets comparison.A.json and .jsonl")
    ],
    data: Data,
    mode: Annotated[Mode, typer.Option(help="strict, or the published scorer with its quirks")] = Mode.strict,
    subsets: Subsets = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="compare although data, limit, ablation or readout differ")
    ] = False,
    seeds: Annotated[
        int, typer.Option(min=1, help="compare over this many training seeds: A, A-seed2, ... with B, B-seed2, ...")
    ] = 1,
    markdown: Annotated[bool, typer.Option("--markdown", help="the tables as Markdown, on standard output")] = False,
) -> None:
    """Is B better than A? Paired tests per task and language, corrected for their number; several B in one table."""
    from eval.compare.compare import compare_each
    from eval.compare.compare_table import tables_of_each, verdicts
    from eval.compare.seeds import compare_seeds, seed_tables
    from eval.tables import show

    if seeds > 1:
        for one in b:
            over = compare_seeds(a, one, seeds, Dataset.open(data), mode.value, names_of(subsets), anyway)
            sections, (verdict, *others) = seed_tables(over)
            print(f"A is {a}, B is {one}.", verdict, sep="\n")
            command.say(f"written: {one / f'comparison.{a.resolve().name}.seeds.json'}")
            show(sections, others, markdown)
        return
    found = compare_each(a, b, Dataset.open(data), mode.value, names_of(subsets), anyway)
    print(f"A is {a}, B is {', '.join(map(str, b))}.", *verdicts(found), sep="\n")
    for run in b:
        command.say(f"written: {run / f'comparison.{a.resolve().name}.json'} and .jsonl")
    sections, sentences = tables_of_each(found)
    show(sections, [one for one in sentences if one not in verdicts(found)], markdown)


@app.verb("mmaffben report runs/eval-7b --data data --out report.html")
def report(
    runs: Annotated[list[Path], typer.Argument(help="folders of scored runs; several are shown side by side")],
    data: Data,
    out: Annotated[Path, typer.Option(help="the HTML file, such as report.html; other files are named after it")],
) -> None:
    """Write one HTML file of scored runs: scores, languages, charts, diagnosis, the most informative rows.

    Files named after it: results.json and its schema, tables in Markdown and
    LaTeX, and a model card. The diagnosis is shown for runs that have one.
    """
    from eval.report.report import report as write

    for path in write(runs, Dataset.open(data), out):
        command.say(f"{path}: {path.stat().st_size / 1e3:,.0f} kB")
    print(out)


@app.verb("mmaffben browse runs/eval-7b --data data")
def browse(
    runs: Annotated[
        list[Path], typer.Argument(help="folders that mmaffben predict wrote; answers are shown side by side")
    ],
    data: Data,
    port: Annotated[int, typer.Option(help="port on 127.0.0.1; 0 picks a free one")] = 7860,
) -> None:
    """Look at records and answers in a browser: by subset, language, label, and whether wrong or unparsed."""
    from eval.report.browse import open_runs
    from mmafflm.browse.server import serve

    serve(open_runs(runs, Dataset.open(data)), port)


app.registered_commands += cli_many.app.registered_commands


def main() -> None:
    """Run the console command `mmaffben`."""
    command.run(app, resumed=("predict", "paper-baselines", "demo"))
