"""`mmaffin`: turn raw corpora into MMAFFIn and MMAFFBen."""

import os
import shlex
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

import mmafflm.terminal.command as command
from data_build.translate import ENGINES, ROUND_TRIP
from mmafflm.benchmark.benchmark import choose_subsets
from mmafflm.cluster.connect import OPTION, require_ray
from mmafflm.dataset import Dataset
from mmafflm.errors import UsageFault

# Each command does its own imports: importing everything takes longer than opening a build to browse it.
app = command.App("Turn raw affective corpora into the instruction data MMAFFIn and the benchmark MMAFFBen.")

Raw = Annotated[Path, typer.Option(help="folder with one subfolder for each corpus")]
Data = Annotated[Path, typer.Option(help="folder of a finished build")]
Cluster = Annotated[str | None, typer.Option(help=OPTION)]


@app.verb("mmaffin samples --out raw")
def samples(
    out: Annotated[Path, typer.Option(help="folder to write the raw corpora to")],
    scale: Annotated[int, typer.Option(help="multiplies the number of rows")] = 1,
    subsets: Annotated[
        str | None, typer.Option(help="comma-separated: write the corpora of these subsets; all by default")
    ] = None,
) -> None:
    """Write small made-up corpora in the layouts of the real ones, to try every command without the real ones."""
    from data_build.samples import write_samples

    write_samples(out, scale, only={subset.corpus for subset in choose_subsets(subsets)})
    command.say(f"{out}: done. Next: {shlex.join(['mmaffin', 'build', '--raw', str(out), '--out', 'data'])}")


@app.verb("mmaffin build --raw raw --out data")
def build(
    raw: Raw,
    out: Annotated[Path, typer.Option(help="folder to build in")],
    subsets: Annotated[str | None, typer.Option(help="comma-separated; by default all whose corpus is found")] = None,
    config: Annotated[Path | None, typer.Option(help="build config; the shipped default otherwise")] = None,
    jobs: Annotated[int | None, typer.Option(help="worker processes; one per CPU core by default")] = None,
    limit: Annotated[int | None, typer.Option(help="most rows of each subset and split; all by default")] = None,
    raw_video: Annotated[bool, typer.Option("--raw-video", help="keep clips as files, not their frames")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="replace a finished build in --out, even if parts are lost")
    ] = False,
    cluster: Cluster = None,
    shard: Annotated[
        str | None,
        typer.Option(help="I/N: only open this share of the media; later build without --shard; all by default"),
    ] = None,
) -> None:
    """Make training data and tests from the raw corpora. An interrupted run resumes when you run it again."""
    from data_build.build import build as run_build
    from data_build.config import load_config

    if shard is not None:
        from data_build.shares import open_share
        from mmafflm.shard import Shard

        if cluster or replace:
            raise UsageFault("--shard cannot be combined with --cluster or --replace. Leave them out.")
        named = choose_subsets(subsets)
        open_share(raw, out, load_config(config), named, Shard.parse(shard), jobs, limit, raw_video)
        return
    if run_build(raw, out, load_config(config), choose_subsets(subsets), jobs, limit, raw_video, replace, cluster):
        rows = Dataset.open(out).manifest["mix"]["rows"]
        then = shlex.join(["mmafflm", "plan", "RECIPE", "--data", str(out)])
        command.say(f"{out}: done, {rows} rows in the training mix. Next: {then}")


@app.verb("mmaffin import --from released --out data", name="import")
def import_(
    origins: Annotated[list[str], typer.Option("--from", help="folder or hub id (owner/name); may be repeated")],
    out: Annotated[Path, typer.Option(help="folder to build in")],
    config: Annotated[
        Path | None, typer.Option(help="build config, for mix and budget; the shipped default otherwise")
    ] = None,
    jobs: Annotated[int | None, typer.Option(help="worker processes; one per CPU core by default")] = None,
    limit: Annotated[int | None, typer.Option(help="most rows of each subset and split; all by default")] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="replace a finished build in --out, even if parts are lost")
    ] = False,
) -> None:
    """Make a build from the released JSON files of MMAFFIn and MMAFFBen, without the raw corpora."""
    from data_build.config import load_config
    from data_build.release.import_release import import_release

    if import_release(origins, out, load_config(config), jobs, limit, replace):
        command.say(f"{out}: done; {out}/import.md says what was recovered and what differs from our own prompts.")


@app.verb("mmaffin export --data data --form parquet --out exported")
def export(
    data: Data,
    form: Annotated[str, typer.Option(help="llamafactory-alpaca, sharegpt, parquet or webdataset")],
    out: Annotated[Path, typer.Option(help="folder to write to")],
    subsets: Annotated[str | None, typer.Option(help="comma-separated; all by default")] = None,
) -> None:
    """Write the build in a format that other tools read."""
    from data_build.release.export import export as write_form

    write_form(Dataset.open(data), form, out, [subset.name for subset in choose_subsets(subsets)])


@app.verb("mmaffin stats --data data --out stats.html")
def stats(
    data: Data,
    out: Annotated[
        Path | None, typer.Option(help="HTML page to write, with charts and randomly drawn rows; none by default")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="seed for drawing the rows that the page shows; a fixed seed by default")
    ] = None,
) -> None:
    """Count rows, labels, languages and lengths of each subset and split; --out adds a page with charts and rows."""
    from data_build.dataset.stats import SEED, count, tables
    from data_build.dataset.stats_page import page
    from mmafflm.records import write_text

    if out and (out.is_dir() or out.suffix.lower() not in (".html", ".htm")):
        raise UsageFault(f"--out {out}: not the name of an HTML file. Give one, such as stats.html.")
    dataset = Dataset.open(data)
    seed = SEED if seed is None else seed
    found = count(dataset, seed)
    print(tables(found.counted), end="")
    if out:
        write_text(out, page(dataset, found, seed))
        command.say(f"{out}: written")


@app.verb("mmaffin publish --data data --repo OWNER/NAME --dry-run")
def publish(
    data: Data,
    repo: Annotated[str, typer.Option(help="data set on the Hugging Face Hub: OWNER/NAME; created as private if new")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only list the files and their sizes; no network")] = False,
    allow: Annotated[
        str | None, typer.Option(help="comma-separated corpora that you have permission to pass on; none by default")
    ] = None,
) -> None:
    """Upload what the corpora's terms allow, with the token in HF_TOKEN; print what is left out and why."""
    from data_build.publish.publish import publish as upload

    allowed = [name.strip() for name in (allow or "").split(",") if name.strip()]
    upload(Dataset.open(data), repo, allowed, dry_run)


@app.verb("mmaffin mix --data data --mix mix.yaml --out data-mix")
def mix(
    data: Data,
    mix: Annotated[Path, typer.Option(help="YAML: seed; optionally mix (rows of each subset), languages and more")],
    out: Annotated[Path | None, typer.Option(help="folder for the mix; by default it replaces the build's")] = None,
    share: Annotated[float, typer.Option(help="factor for the rows of every subset")] = 1.0,
) -> None:
    """Draw another training mix from the same build."""
    from data_build.config import load_mix
    from data_build.remix import remix

    rows = remix(Dataset.open(data), load_mix(mix), out, share)
    command.say(f"{out or data}: the training mix holds {rows} rows")


@app.verb("mmaffin translate --data data --to es,fr --engine apertium")
def translate(
    data: Data,
    to: Annotated[str | None, typer.Option(help="comma-separated target languages, such as es; no default")] = None,
    engine: Annotated[str | None, typer.Option(help=f"{', '.join(ENGINES)}; no default")] = None,
    origin: Annotated[
        str | None, typer.Option("--from", help="comma-separated: languages of the rows to translate; en by default")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="for nllb, a folder or hub id; for openai, the model's name; no default")
    ] = None,
    subsets: Annotated[str | None, typer.Option(help="comma-separated; by default all that have texts")] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="most rows of each subset, split and language pair; all by default")
    ] = None,
    plan: Annotated[
        Path | None, typer.Option(help="YAML with engine, pairs and rows, instead of these options; none by default")
    ] = None,
    round_trip: Annotated[
        int | None, typer.Option(min=0, help=f"rows per pair to translate back, for a report; {ROUND_TRIP} by default")
    ] = None,
    cluster: Cluster = None,
) -> None:
    """Add translations of training and validation rows to a build. An interrupted run resumes."""
    from data_build.translate.engine import make_engine
    from data_build.translate.nodes import in_workers
    from data_build.translate.plan import OrderOptions, plan_or_options
    from data_build.translate.round_trip import in_words
    from data_build.translate.translate import translate as run_translate

    wanted = plan_or_options(plan, OrderOptions(to, engine, origin, subsets, limit))
    most = wanted.round_trip if round_trip is None else round_trip
    name = model or wanted.model
    run = partial(in_workers, require_ray(cluster), wanted.engine, name, None) if cluster else None
    done = run_translate(data, make_engine(wanted.engine, name), *wanted.orders, round_trip=most, run=run)
    command.say(
        f"{data}: {done.asked} rows requested: {done.kept} added and {done.quarantined} quarantined in this run, "
        f"{done.asked - done.kept - done.quarantined} done in earlier runs ({done.lines} lines translated)"
    )
    for figure in done.round_trips:
        print(in_words(figure))


@app.verb("mmaffin check --data data")
def check(data: Data) -> None:
    """Compare the files with the manifest. Print each difference, and exit with 1 if there is one."""
    from data_build.dataset.check import check as run_check

    faults = run_check(Dataset.open(data))
    for fault in faults:
        print(fault)
    if faults:
        raise typer.Exit(1)
    command.say(f"{data}: everything agrees with the manifest")


@app.verb("mmaffin leaks --data data --out leaks")
def leaks(
    data: Data,
    out: Annotated[Path | None, typer.Option(help="folder for leakage.json and leakage.md; none by default")] = None,
) -> None:
    """List training rows that copy a test row, exactly or nearly, as they are or through a translation."""
    from data_build.config import Leaks
    from data_build.dataset.origins import read_origins
    from data_build.leaks.leak_report import examine, markdown, write_report
    from data_build.media.media_index import read_index
    from data_build.translate.copies import through_translation

    dataset = Dataset.open(data)
    dataset.require_unchanged(dataset.split_files())
    rows = {
        name: {split: of["rows"] for split, of in splits.items()}
        for name, splits in dataset.manifest["subsets"].items()
    }
    rules = Leaks(**dataset.manifest.get("leakage", {}).get("rules", {}) | {"remove": False})
    _, told = examine(data, rows, rules, read_index(data), read_origins(data))
    if "translation" in dataset.manifest:
        told["through_translation"] = through_translation(data)
    print(markdown(told), end="")
    if out:
        write_report(out, told)


@app.verb("mmaffin browse --data data")
def browse(
    data: Data,
    port: Annotated[int, typer.Option(help="port on 127.0.0.1; 0 picks a free one")] = 7860,
) -> None:
    """Browse the records on a local page, filtered by subset, split, language, task, label or translation."""
    from mmafflm.browse.server import serve
    from mmafflm.browse.table import open_table

    serve(open_table(Dataset.open(data)), port)


@app.verb("mmaffin doctor --raw raw")
def doctor(raw: Raw) -> None:
    """Show for each corpus what was found, what is expected, what is missing and how to get it."""
    from rich.console import Console
    from rich.table import Table

    from data_build.doctor import examine

    table, broken = Table("corpus", "state", "subset split", "rows found", "rows expected"), False
    ways: dict[str, str] = {}
    for *row, way in examine(raw):
        table.add_row(*row)
        broken |= row[1] == "broken"
        if way:
            ways[row[0]] = f"{row[0]}: {way}"
    Console().print(table)
    print("\n".join(ways.values()))  # not in the table, which would break long addresses
    if broken:
        raise typer.Exit(1)


def main() -> None:
    """The entry point of the `mmaffin` command."""
    if not sys.warnoptions:
        # openpyxl, PIL, scipy and polars warn of things that no user can act on; worker processes inherit the variable
        warnings.simplefilter("ignore")
        os.environ.setdefault("PYTHONWARNINGS", "ignore")
    command.run(app, resumed=("build", "import", "translate"))
