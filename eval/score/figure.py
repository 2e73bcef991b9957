"""A score as a person sees it: a number with its interval, or a dash where the number would mislead.

In a numeric task an unparsed answer counts as the value farthest from gold, or in paper mode as the published scorer's
default. When most answers are unparsed, a correlation measures these substitutes and not the model: a model that
answers nothing at all gets -0.25. So no table, test or mean shows such a task. scores.MODE.json keeps the numbers, and
its "withheld" says why they are not shown.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from eval.score.measure import Answers
from eval.tables import fraction
from mmafflm.benchmark.benchmark import Task
from mmafflm.benchmark.grammar import Labels

MOST_UNPARSED = 0.5  # share of the answers; above it a numeric task shows no figure
DASH = "-"


class Figure(NamedTuple):
    """One metric with its interval, over n rows, `unparsed` of them unparsed. None: not defined, or withheld."""

    value: float | None
    ends: Sequence[float] | None
    n: int
    unparsed: int


def withheld(task: Task, read: Answers, emotions: Sequence[str | None] | None = None) -> str:
    """Why a numeric task shows no figure: most answers, or most about one of its emotions, are unparsed. Else "".

    emotions: each row's emotion, if each emotion is scored separately and the task's score is their mean.
    """
    if isinstance(task.grammar, Labels):
        return ""
    parts = list(emotions) if emotions else [None] * len(read.gold)
    rows, unparsed = Counter(parts), Counter(parts[row] for row in read.unparsed)
    for part, total in rows.items():
        if (share := unparsed[part] / total) > MOST_UNPARSED:
            which = f"answers about {part}" if part else "answers"
            return f"no figure: {share:.1%} of the {which} are unparsed, so a correlation would not be the model's"
    return ""


def figure(scored: Mapping[str, Any], metric: str) -> Figure:
    """One metric of a task, or of one of its languages, from scores.MODE.json."""
    mute = "pearson" in scored["metrics"] and scored["unparsed"] > MOST_UNPARSED * scored["n"]
    shown = not mute and "withheld" not in scored  # scores from another tool may lack "withheld"
    value = scored["metrics"].get(metric) if shown else None
    ends = scored.get("ci95", {}).get(metric) if shown else None
    return Figure(value, ends, scored["n"], scored["unparsed"])


def beside_text(metric: str, scored: Mapping[str, Any]) -> str:
    """What belongs beside a main metric: r on the parsed rows; or macro F1 over the classes with gold, and its maximum.

    A dash for scores of an older version, which lack it.
    """
    if "parsed" in scored:
        parsed = scored["parsed"]
        return f"{fraction(parsed['metrics'].get(metric))} on {parsed['n']:,} parsed"
    if (supported := scored["metrics"].get("macro_f1_supported")) is None:
        return DASH
    most = scored.get("attainable", {}).get("macro_f1", 1.0)
    return f"{fraction(supported)} over classes with gold" + (f", at most {fraction(most)}" if most < 1 else "")


def resampled_text(scored: Mapping[str, Any]) -> str:
    """The unit that was resampled: "row", or how many groups of rows and the design effect; "row" for older scores."""
    if "units" not in scored:
        return str(scored.get("unit", "row"))
    effect = scored.get("design_effect")
    return f"{scored['units']:,} {scored['unit']}s" + ("" if effect is None else f", design effect {effect:.2f}")


def rows_text(scored: Mapping[str, Any]) -> str:
    """The number of rows asked; for a sample also the number of rows it was drawn from."""
    drawn = scored.get("sample")
    return f"{scored['n']:,} of {drawn['of']:,}" if drawn else f"{scored['n']:,}"


def unparsed_text(unparsed: int, n: int) -> str:
    """The share of the answers that could not be parsed."""
    return f"{unparsed / n:.1%}" if n else DASH
