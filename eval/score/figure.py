"""A score as tables show it: a number with its interval, or a dash if the number would mislead.

In a numeric task an unparsed answer counts as the value farthest from gold, or in paper mode as the published scorer's
default. When most answers are unparsed, a correlation measures these substitutes and not the model: a model that
answers nothing at all gets -0.25. So no table, test or mean uses such a score. scores.MODE.json keeps the numbers, and
its entry "withheld" gives the reason.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from eval.score.measure import Answers
from eval.tables import fraction
from mmafflm.benchmark.benchmark import Task
from mmafflm.benchmark.grammar import Labels

MOST_UNPARSED = 0.5  # if a greater share of the answers is unparsed, no score of a numeric task is shown
DASH = "-"


class Figure(NamedTuple):
    """One metric with its interval, from n rows of which `unparsed` are unparsed. None: not defined, or withheld."""

    value: float | None
    ends: Sequence[float] | None
    n: int
    unparsed: int


def withheld(task: Task, read: Answers, emotions: Sequence[str | None] | None = None) -> str:
    """The reason for withholding the scores of a numeric task, or "".

    They are withheld if most of its answers, or most answers about one of its emotions, are unparsed. emotions: each
    row's emotion, if each emotion is scored separately and the task's score is the mean over them.
    """
    if isinstance(task.grammar, Labels):
        return ""
    parts = list(emotions) if emotions else [None] * len(read.gold)
    rows, unparsed = Counter(parts), Counter(parts[row] for row in read.unparsed)
    for part, total in rows.items():
        if (share := unparsed[part] / total) > MOST_UNPARSED:
            which = f"answers about {part}" if part else "answers"
            return f"no score: {share:.1%} of the {which} are unparsed, so a correlation would not measure the model"
    return ""


def figure(scored: Mapping[str, Any], metric: str) -> Figure:
    """One metric of a task or of one of its languages. scored: its entry in scores.MODE.json."""
    mute = "pearson" in scored["metrics"] and scored["unparsed"] > MOST_UNPARSED * scored["n"]
    shown = not mute and "withheld" not in scored  # scores from another tool may lack "withheld"
    value = scored["metrics"].get(metric) if shown else None
    ends = scored.get("ci95", {}).get(metric) if shown else None
    return Figure(value, ends, scored["n"], scored["unparsed"])


def on_parsed(scored: Mapping[str, Any], metric: str) -> float | None:
    """The main metric of a numeric task on the rows whose answers could be parsed; None for other metrics."""
    found: float | None = scored.get("parsed", {}).get("metrics", {}).get(metric)
    return found


def supported(scored: Mapping[str, Any], metric: str) -> float | None:
    """For macro F1, the mean over only the classes that occur in gold. None for other metrics and older scores."""
    found: float | None = scored["metrics"].get("macro_f1_supported") if metric == "macro_f1" else None
    return found


def beside_text(metric: str, scored: Mapping[str, Any]) -> str:
    """The text next to a main metric: r on the parsed rows; or macro F1 over the classes in gold, and the maximum of
    macro F1 if that is below 1.

    A dash for scores of an older version, which lack these numbers.
    """
    if "parsed" in scored:
        return f"{fraction(on_parsed(scored, metric))} on {scored['parsed']['n']:,} parsed"
    if (value := supported(scored, metric)) is None:
        return DASH
    most = scored.get("attainable", {}).get("macro_f1", 1.0)
    return f"{fraction(value)} over classes with gold" + (f", at most {fraction(most)}" if most < 1 else "")


def resampled_note(scored: Mapping[str, Any]) -> str:
    """The note that groups were resampled; "" if rows were resampled."""
    return f"intervals resample {resampled_text(scored)}" if "units" in scored else ""


def resampled_text(scored: Mapping[str, Any]) -> str:
    """What was resampled: "row", or the number of groups, their kind and the design effect. Older scores have "row"."""
    if "units" not in scored:
        return str(scored.get("unit", "row"))
    effect = scored.get("design_effect")
    return f"{scored['units']:,} {scored['unit']}s" + ("" if effect is None else f", design effect {effect:.2f}")


def rows_text(scored: Mapping[str, Any]) -> str:
    """The number of evaluated rows; for a sample also the number of rows from which it was drawn."""
    drawn = scored.get("sample")
    return f"{scored['n']:,} of {drawn['of']:,}" if drawn else f"{scored['n']:,}"


def unparsed_text(unparsed: int, n: int) -> str:
    """The share of the answers that could not be parsed, in percent; a dash without answers."""
    return f"{unparsed / n:.1%}" if n else DASH
