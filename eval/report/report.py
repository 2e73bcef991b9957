"""`mmaffben report`: one self-contained HTML file, and next to it results.json with its schema, tables and model cards.

The report reads the scores that `mmaffben score` wrote. It uses no clock and no random numbers, so the same runs and
data produce the same bytes.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from eval.ask.ablation import ABLATIONS
from eval.compare.compare_table import LEVEL
from eval.diagnosis.finding import MIN_ROWS
from eval.report import names, paper_form, svg, tables
from eval.report.averages import averages
from eval.report.commands import commands
from eval.report.comparisons import compared, comparisons
from eval.report.diagnosis_view import view
from eval.report.first_screen import cards, chart, evaluated, task_words
from eval.report.glance import glance
from eval.report.load import Run, differences, load_runs, rows_of, subsets_of
from eval.report.model_card import model_card
from eval.report.results_schema import VERSION, Results, json_schema, require
from eval.report.subset_view import SubsetDrawings, subset_view
from eval.run.up_to_date import KEY, made_of, standing
from eval.score.measure import MODES
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import Dataset, split_file
from mmafflm.errors import UsageFault
from mmafflm.media.thumbnails import Thumbnails
from mmafflm.records import write_text
from mmafflm.run_file import installed
from mmafflm.terminal.command import say
from mmafflm.terminal.progress_bar import progress

SCRIPT = files("eval.report").joinpath("report.js").read_text(encoding="utf-8")


def report(folders: Sequence[Path], data: Dataset, out: Path) -> list[Path]:
    """Write the report of scored runs and the files next to it. Returns their paths, the HTML first.

    An up-to-date report of the same runs is left unchanged. Raises Fault for a run without scores or with scores of
    other answers, and for changed records; UsageFault for a wrong --out or a wrong run folder.
    """
    if out.is_dir() or out.suffix.lower() not in (".html", ".htm"):
        raise UsageFault(f"--out: {out} is not the name of an HTML file. Pass a name such as {out / 'report.html'}")
    runs = load_runs(folders, data)
    names = subsets_of(runs, data)
    cards = {out.with_name(f"{out.stem}{_of(run, runs)}.MODEL_CARD.md"): run for run in runs}
    beside = [out.with_name(f"{out.stem}.{kind}") for kind in ("results.json", "md", "tex", "results.schema.json")]
    written = [out, *beside, *cards]
    made = made_of([], runs=[(run.name, run.folder, run.files) for run in runs], data=data.hash, folder=data.path)
    if standing(beside[0], made) is not None and all(path.exists() for path in written):
        say(f"{out}: up to date.")
        return written
    thumbnails = Thumbnails(data.path)
    parts = []
    with progress("report", len(names)) as advance:
        for name in names:
            parts.append(subset_view(name, rows_of(name, runs, data), runs, thumbnails))
            advance(1)
    printed = paper_form.tables(runs)
    for path, run in cards.items():
        write_text(path, model_card(run))
    write_text(beside[1], paper_form.markdown(printed))
    write_text(beside[2], paper_form.latex(printed))
    write_text(beside[3], json.dumps(json_schema(), indent=1) + "\n")
    write_text(out, page(runs, data, parts, thumbnails.refused))
    found = {"$schema": beside[3].name, **results(runs, data, parts), KEY: made}
    require(Results, found, beside[0], "Please report this as a bug.")
    # This file is written last, because it shows that the other files are complete.
    write_text(beside[0], json.dumps(found, ensure_ascii=False) + "\n")
    return written


def _of(run: Run, runs: Sequence[Run]) -> str:
    """The part of a file name that distinguishes several runs; "" for a single run."""
    return f".{run.name.replace('/', '-')}" if len(runs) > 1 else ""


def generator() -> str:
    """The package and version that made a report."""
    return f"mmafflm {installed('mmafflm').get('mmafflm', 'of no version')}"


def page(runs: Sequence[Run], data: Dataset, parts: Sequence[SubsetDrawings], refused: int = 0) -> str:
    """The HTML. All text from data, runs and answers is escaped automatically. refused: pictures that were left out."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: files("eval.report").joinpath(name).read_text(encoding="utf-8")),
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    style = environment.get_template("report.css.j2").render()
    strict, pairs = tables.headline(runs, "strict"), comparisons(runs)
    return environment.get_template("report.html.j2").render(
        **_drawing(style),
        generator=generator(),
        runs=[_head(run, at) for at, run in enumerate(runs)],
        differ=differences(runs),
        data_hash=data.hash, evaluated=evaluated(runs), all_subsets=len(benchmark()), task_words=task_words(runs),
        cards=cards(runs), chart=chart(strict, runs), strict=strict, paper=tables.headline(runs, "paper"),
        averages={mode: averages(runs, mode) for mode in MODES},
        heat_maps=tables.heat_maps(runs, "strict"), paper_maps=tables.heat_maps(runs, "paper"),
        notes=tables.notes_of(runs),
        subsets=[part.view for part in parts],
        compared=[compared(one) for one in pairs if not one.stale], level=LEVEL,
        stale=[one.stale for one in pairs if one.stale],
        diagnosed=[
            (_head(run, at), view(run.diagnosis, at, len(runs)))
            for at, run in enumerate(runs)
            if run.diagnosis is not None
        ],
        commands=commands(runs, data), words=names.WORDS,
        provenance=provenance(runs, data),
        refused=refused,
    )  # fmt: skip


def _drawing(style: str) -> dict[str, Any]:
    """The template's functions, style and script. The content security policy allows only this style and script."""
    return {
        "key": svg.key, "number": tables.number, "interval": tables.interval, "kinds": tables.KINDS,
        "least_rows": MIN_ROWS,
        "share": lambda value: f"{value:.1%}", "language_name": names.language_name,
        "metric_name": names.metric_name, "metrics": names.METRICS,
        "style": Markup(style), "style_hash": _csp(style),
        "script": Markup(SCRIPT), "script_hash": _csp(SCRIPT),
    }  # fmt: skip


def _csp(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _head(run: Run, at: int) -> dict[str, Any]:
    """The facts shown with a run's name."""
    told = {key: run.described.get(key) for key in ("checkpoint", "engine", "limit", "languages", "ablation")}
    defaults = {"checkpoint": "unknown", "engine": "unknown", "ablation": "none"}
    said = {
        "name": run.name, "at": at, "readout": run.readout, "readout_words": names.readout_words(run.readout),
        "glance": glance(run), "ablation_words": ABLATIONS.get(str(told["ablation"]), ""),
    }  # fmt: skip
    return said | {key: told[key] or defaults.get(key) for key in told}


def results(runs: Sequence[Run], data: Dataset, parts: Sequence[SubsetDrawings]) -> dict[str, Any]:
    """The content of results.json: scores and diagnosis as read, means, comparisons, and the numbers in the charts."""
    return {
        "schema": VERSION,
        "generator": generator(),
        "data": {"hash": data.hash, "versions": data.manifest.get("versions", {})},
        "runs": {
            run.name: {
                "run": run.described,
                "scores": {mode: _without_rows(found) for mode, found in run.scores.items()},
                "diagnosis": run.diagnosis,
                "sha256": run.files,
            }
            for run in runs
        },
        "averages": {mode: [one.to_json() for one in averages(runs, mode)] for mode in MODES},
        "comparisons": [
            {"a": runs[one.a].name, "b": runs[one.b].name, "found": one.found}
            for one in comparisons(runs)
            if not one.stale
        ],
        "figures": {part.view.name: part.tallies for part in parts},
        "examples": {part.view.name: part.examples for part in parts},
    }


def _without_rows(scores: Mapping[str, Any]) -> dict[str, Any]:
    """The scores without the lists of unparsed rows, which may be long and which scores.MODE.json contains."""
    return {
        key: _without_rows(value) if isinstance(value, Mapping) else value
        for key, value in scores.items()
        if key != "unparsed_rows"
    }


def provenance(runs: Sequence[Run], data: Dataset) -> list[tuple[str, list[tuple[str, str]]]]:
    """[(title, facts)]: run.json, thresholds and file hashes of each run, then the facts about the data."""
    found = []
    for run in runs:
        told = [("folder", str(run.folder)), *tables.flat(run.described)]
        found.append((f"{run.name}: run.json", told))
        if run.thresholds:
            found.append((f"{run.name}: thresholds of label sets (readout.json)", list(tables.flat(run.thresholds))))
        found.append((f"{run.name}: SHA-256 of the files that were read", list(run.files.items())))
    names = sorted({split_file(name, "test") for run in runs for name in run.scores["strict"]["subsets"]})
    kept: dict[str, Any] = {
        key: data.manifest[key] for key in ("versions", "seed", "limit", "data_hash") if key in data.manifest
    }
    hashes = [(name, str(data.files[name]["sha256"])) for name in names]
    return [*found, ("data", [("folder", str(data.path)), *tables.flat(kept), *hashes])]
