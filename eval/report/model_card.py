"""A model card for the Hugging Face Hub: metadata with every score in its model-index, and the tables."""

import math
from collections.abc import Mapping
from typing import Any

import yaml

from eval.report.load import Run
from eval.report.names import is_jaccard
from eval.report.paper_form import markdown, tables
from eval.report.tables import KINDS, tasks_of
from eval.run.selection import Selection
from eval.score.figure import figure, on_parsed
from mmafflm.benchmark.benchmark import Task, benchmark
from mmafflm.hub import hub_languages

# {metric: (its type on the Hub, its displayed name)}; for other metrics both are the key
_METRICS = {
    "macro_f1": ("f1", "Macro F1"),
    "micro_f1": ("f1", "Micro F1"),
    "accuracy": ("accuracy", "Accuracy"),
    "balanced_accuracy": ("balanced_accuracy", "Balanced accuracy"),
    "subset_accuracy": ("accuracy", "Subset accuracy"),
    "pearson": ("pearsonr", "Pearson"),
    "spearman": ("spearmanr", "Spearman"),
    "ccc": ("ccc", "Concordance correlation"),
    "qwk": ("qwk", "Quadratic weighted kappa"),
    "mae": ("mae", "Mean absolute error"),
}
_TASK_TYPES = {"image": "image-text-to-text", "video": "video-text-to-text"}


def model_card(run: Run) -> str:
    """The text of MODEL_CARD.md, always the same for the same run. Writes no file and does not contact the Hub."""
    languages = hub_languages(_languages(run))
    metadata: dict[str, Any] = {
        "library_name": "transformers",
        "pipeline_tag": "image-text-to-text",
        "language": languages,
        "tags": ["mmaffben", "emotion-recognition", "sentiment-analysis"],
        "model-index": [{"name": run.name, "results": _results(run)}],
    }
    if not languages:
        del metadata["language"]
    head = yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{head}---\n\n{_body(run)}"


def _languages(run: Run) -> set[str]:
    return {language for name in run.scores["strict"]["subsets"] for language in benchmark()[name].languages}


def _results(run: Run) -> list[dict[str, Any]]:
    """One entry for each task, with its metrics in each mode. A metric that is undefined or withheld is left out."""
    found = []
    for subset, task in tasks_of([run], "strict"):
        metrics = [
            metric
            for mode in ("strict", "paper")
            if (scored := run.scored(subset, task.key, mode))
            for metric in _metrics(task, scored, mode, run.readout_of(subset, task.key))
        ]
        if metrics:
            found.append({"task": _task(task), "dataset": _dataset(run, subset, task), "metrics": metrics})
    return found


def _task(task: Task) -> dict[str, str]:
    kind = _TASK_TYPES.get(task.modality, "text-classification")
    return {"type": kind, "name": f"{KINDS[task.kind]} ({task.modality})"}


def _dataset(run: Run, subset: str, task: Task) -> dict[str, Any]:
    asked = {key: value for key, value in Selection.of_run(run.described).to_json().items() if value is not None}
    return {
        "type": "MMAFFBen",
        "name": f"MMAFFBen {task.name}",
        "config": f"{subset}_{task.key}",
        "split": "test",
        "revision": run.described["data_hash"],
        **({"args": asked} if asked else {}),
    }


def _metrics(task: Task, scored: Mapping[str, Any], mode: str, readout: str) -> list[dict[str, Any]]:
    found = []
    said = f"{mode} mode" + ("" if readout == "greedy" else f", readout {readout}")
    for metric in scored["metrics"]:
        value, ends, n, unparsed = figure(scored, metric)
        if value is None or not math.isfinite(value):
            continue
        kind, name = _named(task, metric)
        args = {"mode": mode, "readout": readout, "n": n, "unparsed": unparsed}
        args |= {"unparsed_share": round(unparsed / n, 4)}
        args |= {} if (parsed := on_parsed(scored, metric)) is None else {"on_parsed_rows": parsed}
        args |= {"ci95": ends} if ends else {}
        args |= {"sample_of": drawn["of"]} if (drawn := scored.get("sample")) else {}
        found.append({"type": kind, "value": value, "name": f"{name} ({said})", "args": args, "verified": False})
    return found


def _named(task: Task, metric: str) -> tuple[str, str]:
    """The metric's type on the Hub and its displayed name.

    `pearson_anger` is Pearson's r on the rows about anger; `pearson_valence` is that of the dimension valence.
    """
    if is_jaccard(task, metric):
        return "jaccard", "Weighted Jaccard"
    if metric.startswith("pearson_"):
        kind, name = _METRICS["pearson"]
        return kind, f"{name} of {metric.removeprefix('pearson_')}"
    return _METRICS.get(metric, (metric, metric))


def _body(run: Run) -> str:
    described = run.described
    said = [
        f"Scores on MMAFFBen, from the run `{_code(run.name)}`.",
        "",
        f"- checkpoint: `{_code(described.get('checkpoint', 'unknown'))}`",
        f"- engine: `{_code(described.get('engine', 'unknown'))}`",
        f"- readout: `{_code(run.readout)}`",
        f"- data: `{_code(described['data_hash'])}`",
        f"- rows a subset: {f'a sample of at most {limit}' if (limit := described.get('limit')) else 'all'}",
        f"- languages: {_code(', '.join(described.get('languages') or ['all']))}",
        f"- ablation: `{_code(described.get('ablation', 'none'))}`",
        "",
        "Strict mode counts an answer that cannot be parsed as wrong; paper mode reproduces the published scorer.",
        "A numeric task has a dash (-) in place of a score when most of its answers could not be parsed.",
        "Whoever publishes the weights must state their licence and intended use.",
    ]
    return f"# {_code(run.name)}\n\n" + "\n".join(said) + "\n\n" + markdown(tables([run]))


def _code(value: object) -> str:
    """The value as text on one line, without characters that could end a code span or open a tag."""
    return " ".join(str(value).split()).replace("`", "'").replace("<", "‹").replace("&", "+")
