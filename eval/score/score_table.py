"""Scores for people to read: tables and notes, for the terminal or as Markdown."""

from collections.abc import Iterator, Mapping
from typing import Any

from eval.run.selection import Selection
from eval.score.baselines import learned, strongest
from eval.score.figure import DASH, beside_text, figure, resampled_text, rows_text, unparsed_text
from eval.score.measured import FEW_ROWS, few_rows_text
from eval.score.overall import overall
from eval.tables import Section, fraction, interval_text
from mmafflm.benchmark.benchmark import Task, benchmark, paper_scores
from mmafflm.benchmark.grammar import Labels

PUBLISHED = ("MMAFFLM-7b", "MMAFFLM-3b", "qwen2.5-vl-7b")
_MEANS = ("modality", "metric", "value", "95% interval", "tasks", "n", "unparsed")
_COLUMNS = ("subset", "task", "metric", "value", "95% interval", "n", "unparsed", "strongest baseline", "TF-IDF")
_BESIDE = ("subset", "task", "metric", "value", "additional value", "resampled")


def tables(scores: Mapping[str, Any]) -> tuple[list[Section], list[str]]:
    """The tables and notes of a scores.MODE.json.

    The tables are: all tasks, their means, additional values, human agreement, calibration, and the languages of each
    subset with several. Scores are fractions, shares of rows are in percent. Only paper mode shows the paper's scores
    next to ours, because strict scores are not comparable with them.
    """
    readout = scores.get("readout", "greedy")
    rows = [_row(task, found, readout) for task, found in _tasks(scores)]
    beside = [
        (*row[:4], beside_text(task.main_metric, found), resampled_text(found))
        for row, (task, found) in zip(rows, _tasks(scores), strict=True)
    ]
    sections = [
        Section(f"MMAFFBen, {scores['mode']} mode, readout {readout}{Selection.of_run(scores)}", _COLUMNS, rows),
        Section("Overall, by modality: means of the tasks", _MEANS, list(_overall(scores))),
        Section("Additional values: the effect of few rows, unparsed answers and dependent rows", _BESIDE, beside),
    ]
    sections += [*_humans(scores), *_calibration(scores)]
    for subset, found in scores["subsets"].items():
        if "by_language" in found:
            read = found.get("readout", readout)
            sections.append(_languages(subset, found["by_language"], scores["mode"] == "paper", read))
    return sections, _notes(scores)


def _humans(scores: Mapping[str, Any]) -> list[Section]:
    """A table of how well people agree, for tasks whose corpus has each annotator's answers."""
    rows: list[tuple[str, ...]] = [
        (task.name, metric, fraction(of["metrics"][metric]), interval_text(of["ci95"][metric]), str(of["n"]))
        for task, found in _tasks(scores)
        for metric, of in [(task.main_metric, found.get("humans"))]
        if of
    ]
    title = "Human agreement: one annotator against the others combined"
    return [Section(title, ("task", "metric", "value", "95% interval", "n"), rows)] if rows else []


def _calibration(scores: Mapping[str, Any]) -> list[Section]:
    """Whether the probabilities of a readout are right: a table for `choice` and one for `expectation`."""
    sure, covered = list[tuple[str, ...]](), list[tuple[str, ...]]()
    for task, found in _tasks(scores):
        if (one := found.get("calibration")) is None:
            continue
        if "ece" in one:
            ends = one["ci95"]
            sure.append((task.name, fraction(one["ece"]), interval_text(ends["ece"]), fraction(one["ece_by_chance"]),
                         fraction(one["brier"]), interval_text(ends["brier"]), str(one["n"])))  # fmt: skip
        for name, of in one.get("coverage", {}).items():
            shares = (f"{share:.1%} {interval_text(of['ci95'][level])}" for level, share in of["covered"].items())
            covered.append((f"{task.name} {name}".rstrip(), *shares, fraction(of["spread"]), fraction(of["rmse"])))
    heads = ("task", "ECE", "95% interval", "ECE by chance", "Brier", "95% interval", "n")
    title = "Calibration of choice: is the likeliest label right as often as its probability says?"
    levels = ("50%", "80%", "95%")
    shown = [Section(title, heads, sure)] if sure else []
    if covered:
        title = "Calibration of expectation: how often gold lies in the central part of the prediction"
        shown.append(Section(title, ("task", *levels, "predicted spread", "RMSE"), covered))
    return shown


def _overall(scores: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for one in overall((task, figure(found, task.main_metric)) for task, found in _tasks(scores)):
        value, ends, n, unparsed = one.figure
        yield (one.modality, one.metric, fraction(value), interval_text(ends), str(one.tasks), f"{n:,}",
               unparsed_text(unparsed, n))  # fmt: skip


def _notes(scores: Mapping[str, Any]) -> list[str]:
    """The notes of the tasks, why text tasks have no TF-IDF baseline, and a note on languages with few rows."""
    said = [f"note: {task.name}: {note}" for task, found in _tasks(scores) for note in found.get("notes", ())]
    said += [f"note: {task.name}: no TF-IDF baseline: {found['no_learned']}" for task, found in _tasks(scores)
             if task.modality == "text" and "no_learned" in found]  # fmt: skip
    few = [f"{task.name} {language}" for task, found in _tasks(scores) if isinstance(task.grammar, Labels)
           for language, one in found.get("by_language", {}).items() if one["n"] < FEW_ROWS]  # fmt: skip
    if few:
        said.append(f"note: {few_rows_text()}: {', '.join(few)}")
    return said


def _tasks(scores: Mapping[str, Any]) -> Iterator[tuple[Task, Mapping[str, Any]]]:
    """Every task with its scores."""
    for subset, found in scores["subsets"].items():
        for key, one in found.get("tasks", {benchmark()[subset].tasks[0].key: found}).items():
            yield benchmark()[subset].task(key), one


def _row(task: Task, found: Mapping[str, Any], readout: str) -> tuple[str, ...]:
    """The row of one task. The task's readout is shown where it differs from the run's."""
    metric = task.main_metric
    values = _values(metric, found)
    own, key = found.get("readout", readout), task.name.removeprefix(task.subset).lstrip()
    return (
        task.subset,
        key if own == readout else f"{key} ({own})".lstrip(),
        metric,
        *values,
        str(strongest(task, found) or DASH),
        fraction(learned(task, found)),
    )


def _values(metric: str, found: Mapping[str, Any]) -> tuple[str, str, str, str]:
    one = figure(found, metric)
    return fraction(one.value), interval_text(one.ends), rows_text(found), unparsed_text(one.unparsed, one.n)


def _languages(subset: str, found: Mapping[str, Mapping[str, Any]], paper: bool, readout: str) -> Section:
    published = PUBLISHED if paper and any(name == subset for name, _ in paper_scores()) else ()
    rows = []
    for language, one in found.items():
        theirs = paper_scores().get((subset, language), {})
        figures = (fraction(theirs.get(model)) for model in published)
        rows.append((language, *_values(benchmark()[subset].tasks[0].main_metric, one), *figures))
    return Section(
        f"{subset} by language, readout {readout}, macro_f1" + (" (with the paper's value)" if published else ""),
        ("language", "value", "95% interval", "n", "unparsed", *published),
        rows,
    )
