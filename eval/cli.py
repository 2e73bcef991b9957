"""`mmaffben`: answers of a checkpoint, and their scores."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

import mmafflm.terminal.command as command
from mmafflm.benchmark.benchmark import choose_subsets
from mmafflm.dataset import Dataset
from mmafflm.errors import UsageFault

app = command.App(
    "Score checkpoints on the benchmark MMAFFBen: predict, score, diagnose and report, in this order (make eval does "
    "all four); compare tests one run against another."
)


class Mode(StrEnum):
    """strict: an honest scorer; paper: the published scorer, answer for answer."""

    strict = "strict"
    paper = "paper"


class EngineName(StrEnum):
    """The program that runs the model; see eval/engines."""

    hf = "hf"
    vllm = "vllm"
    openai = "openai"


class Harness(StrEnum):
    """A program of others that asks models; see eval/export_tasks."""

    lm_eval = "lm-eval"
    lmms_eval = "lmms-eval"
    inspect = "inspect"
    vlmevalkit = "vlmevalkit"


class Readout(StrEnum):
    """How an answer is read; see eval/score/readout.py."""

    greedy = "greedy"
    expectation = "expectation"
    choice = "choice"


class Ablation(StrEnum):
    """What is removed from the questions; see eval/ask/ablation.py."""

    none = "none"
    blank = "blank"
    shuffled = "shuffled"
    silent = "silent"


class Split(StrEnum):
    """Which records are asked: the benchmark's, or those that training holds out for validation."""

    test = "test"
    val = "val"


Data = Annotated[Path, typer.Option(help="folder that mmaffin build wrote")]
Run = Annotated[Path, typer.Argument(help="folder that mmaffben predict wrote (its --out)")]
Subsets = Annotated[str | None, typer.Option(help="names such as XED,MMS; all in the build or the run by default")]


def _names(subsets: str | None) -> list[str] | None:
    return None if subsets is None else [subset.name for subset in choose_subsets(subsets)]


def _options(pairs: list[str]) -> dict[str, str]:
    split = [pair.partition("=") for pair in pairs]
    if bad := [name for name, equals, _ in split if not (name and equals)]:
        raise UsageFault(f"--option {bad[0]}: write NAME=VALUE")
    return {name: value for name, _, value in split}


@app.verb("mmaffben predict --ckpt runs/7b --data data --out runs/eval-7b")
def predict(
    ckpt: Annotated[str, typer.Option(help="checkpoint folder or hub id; with openai, the model's name at the server")],
    data: Data,
    out: Annotated[Path, typer.Option(help="folder for the answers; an existing run is resumed")],
    engine: Annotated[EngineName, typer.Option(help="transformers here, vLLM here, or a server")] = EngineName.hf,
    option: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE for the engine; may be repeated; none by default")
    ] = None,
    readout: Annotated[Readout, typer.Option(help="the text, numbers' mean, or likely labels")] = Readout.greedy,
    subsets: Subsets = None,
    limit: Annotated[
        int | None, typer.Option(help="a sample: most rows a subset, of each task and language; all by default")
    ] = None,
    languages: Annotated[
        str | None, typer.Option(help="codes such as en,es: only rows in these; all by default")
    ] = None,
    split: Annotated[Split, typer.Option(help="val is for watching a training run")] = Split.test,
    batch_size: Annotated[int, typer.Option(help="rows a batch; the answers do not depend on it")] = 16,
    force: Annotated[
        bool, typer.Option("--force", help="predict although it was trained on other picture sizes")
    ] = False,
    ablation: Annotated[Ablation, typer.Option(help="grey pictures, another record's, or no text")] = Ablation.none,
    shard: Annotated[
        str | None, typer.Option(help="I/N: this process asks only the I-th of N shares; all by default")
    ] = None,
    jobs: Annotated[int, typer.Option(help="number of processes, a share each; the answers do not depend on it")] = 1,
) -> None:
    """Ask a checkpoint every record. An interrupted run resumes when you run it again."""
    from eval.ask.jobs import predict_in_jobs
    from eval.ask.predict import askable
    from eval.ask.predict import predict as run
    from eval.engines import make_engine
    from eval.run.checkpoint import positions_note
    from eval.run.run_folder import WHOLE, Shard
    from eval.run.selection import Selection

    if note := positions_note(ckpt):
        command.say(note)
    dataset, names = Dataset.open(data), _names(subsets)
    spoken = None if languages is None else tuple(one.strip() for one in languages.split(","))
    if jobs != 1:
        if shard is not None:
            raise UsageFault("--jobs makes the shards itself: leave out --shard")
        selection, made = Selection(limit, spoken), _options(option or [])
        asked = make_engine(engine.value, ckpt, "auto", data, dataset.budget, made)
        names = askable(asked, dataset, split.value, names)
        predict_in_jobs(sys.argv[1:], jobs, dataset, out, split.value, names, selection, readout.value)
        return
    run(
        ckpt,
        dataset,
        out,
        names,
        limit,
        spoken,
        batch_size,
        force=force,
        ablation=ablation.value,
        engine=engine.value,
        options=_options(option or []),
        shard=Shard.parse(shard) if shard else WHOLE,
        split=split.value,
        readout=readout.value,
    )


@app.verb("mmaffben score runs/eval-7b --data data")
def score(
    run: Run,
    data: Data,
    mode: Annotated[Mode, typer.Option(help="strict, or the published scorer with its quirks")] = Mode.strict,
    subsets: Subsets = None,
    import_: Annotated[
        list[Path] | None,
        typer.Option("--import", help="make RUN from another tool's answers, with ids or LLaMA-Factory's; repeatable"),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="with --import: the answers are to the rows of this limit")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="the table as Markdown, on standard output")] = False,
) -> None:
    """Score the answers of a run and write RUN/scores.MODE.json.

    strict: an answer that cannot be read counts as wrong.
    paper: the published scorer, quirks included, for figures beside the paper's.
    """
    from eval.run.import_answers import import_answers
    from eval.score.score import score_run
    from eval.score.score_table import tables
    from eval.tables import show

    dataset = Dataset.open(data)
    names = _names(subsets)
    if import_:
        in_order = None if subsets is None else [name.strip() for name in subsets.split(",") if name.strip()]
        import_answers(import_, dataset, run, in_order, limit)
    elif limit is not None:
        raise UsageFault("--limit goes with --import: a run of predict knows its own limit")
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
    """Look for the failures that the paper names; write RUN/diagnosis.json and pictures.

    Intensity drift, language collapse, modality ignorance (needs --ablated),
    label prior and format: each check has a value, a 95% interval and a
    threshold, and is found, absent or unsure.
    """
    from eval.diagnosis.diagnose import diagnose_run
    from eval.diagnosis.summary import summary
    from eval.tables import show

    show(*summary(diagnose_run(run, Dataset.open(data), ablated or [], _names(subsets))), markdown)


@app.verb("mmaffben compare runs/eval-base runs/eval-7b --data data")
def compare(
    a: Annotated[Path, typer.Argument(help="folder of the run to compare with, such as the base model's")],
    b: Annotated[
        list[Path], typer.Argument(help="folders of the runs in question; comparison.A.json and .jsonl go into each")
    ],
    data: Data,
    mode: Annotated[Mode, typer.Option(help="strict, or the published scorer with its quirks")] = Mode.strict,
    subsets: Subsets = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="compare although data, limit, ablation or readout differ")
    ] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="the tables as Markdown, on standard output")] = False,
) -> None:
    """Is B better than A? Paired tests per task and language, corrected for their number; several B in one table."""
    from eval.compare.compare import compare_each
    from eval.compare.compare_table import tables_of_each
    from eval.tables import show

    found = compare_each(a, b, Dataset.open(data), mode.value, _names(subsets), anyway)
    show(*tables_of_each(found), markdown)


@app.verb("mmaffben report runs/eval-7b --data data --out report.html")
def report(
    runs: Annotated[list[Path], typer.Argument(help="folders of scored runs; several are shown side by side")],
    data: Data,
    out: Annotated[Path, typer.Option(help="the HTML file, such as report.html; the others are named after it")],
) -> None:
    """Write one HTML file of scored runs: scores, languages, figures, diagnosis, the most telling rows.

    Named after it: results.json and its schema, tables in Markdown and LaTeX,
    and a model card. A run that was diagnosed shows its diagnosis.
    """
    from eval.report.report import report as write

    for path in write(runs, Dataset.open(data), out):
        command.say(f"{path}: {path.stat().st_size / 1e3:,.0f} kB")
    print(out)


@app.verb("mmaffben leaderboard runs/eval-a runs/eval-b --data data --out board")
def leaderboard(
    runs: Annotated[list[Path], typer.Argument(help="folders of scored runs, a row each")],
    data: Data,
    out: Annotated[Path, typer.Option(help="folder for index.html and leaderboard.csv, .md, .tex and .json")],
) -> None:
    """Rank many scored runs on one page, with paired tests of each figure; also as CSV, Markdown and LaTeX."""
    from eval.leaderboard.leaderboard import leaderboard as write

    print(write(runs, Dataset.open(data), out)[0])


@app.verb("mmaffben paper-baselines --data data --out runs/paper --models Llama-3.2-1B")
def paper_baselines(
    data: Data,
    out: Annotated[Path, typer.Option(help="folder for a run of each model, and for the leaderboard")],
    models: Annotated[str | None, typer.Option(help="names from the list, such as qwen2.5-vl-3b,GPT-4o-mini")] = None,
    list_: Annotated[
        Path | None, typer.Option("--list", help="YAML list of models; the paper's: eval/ask/paper_models.yaml")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="a sample: most rows a subset, of each task and language")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the commands, and run none")] = False,
) -> None:
    """Ask, score and rank the models that the paper evaluates. One that fails is reported, and the next one tried."""
    from eval.ask.paper_baselines import paper_baselines as run

    run(Dataset.open(data), out, models, list_, limit, dry_run)


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


@app.verb("mmaffben export-tasks --for lm-eval --data data --out tasks")
def export_tasks(
    harness: Annotated[Harness, typer.Option("--for", help="the harness that will ask the model")],
    data: Data,
    out: Annotated[Path, typer.Option(help="folder for the tasks; its README.md has the commands")],
    subsets: Subsets = None,
    limit: Annotated[int | None, typer.Option(help="a sample: the rows of predict --limit")] = None,
) -> None:
    """Write the benchmark as tasks for another harness, which then prints our scores; import its log with score."""
    from eval.export_tasks.export import export_tasks as export

    export(harness.value, Dataset.open(data), out, _names(subsets), limit)


@app.verb("mmaffben ranking runs/base runs/7b --data data --subset XED")
def ranking(
    runs: Annotated[list[Path], typer.Argument(help="folders of predict --readout choice; the first is compared with")],
    data: Data,
    subset: Annotated[str, typer.Option(help="one whose answers are labels, such as XED")],
    languages: Annotated[str, typer.Option(help="codes such as en,es; all puts every language together")] = "all",
) -> None:
    """Do the likelihoods rank the right labels above the others? The mean area under the ROC curve, 0.5 for chance."""
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


def main() -> None:
    """The console command."""
    command.run(app, resumed=("predict", "demo"))
