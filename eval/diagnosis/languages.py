"""Language collapse: a model can do a task in English, but not in another language or script.

Languages are compared within a group: one task of one corpus (MMS, XED, SAMSEMO, and each SemEval task over its three
subsets). The languages of a corpus are not equally hard, so a gap alone proves nothing; see the thresholds in
finding.py.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from eval.diagnosis.finding import CHECKS, Finding, share
from eval.diagnosis.prior import lift
from eval.diagnosis.prose import NONE, language_of_prose, script
from eval.score.answered import Answered
from eval.score.bootstrap import RESAMPLES, distribution, interval
from eval.score.figure import withheld
from eval.score.groups import groups_of
from eval.score.metrics import Floats, number
from eval.score.paired import distinct, scorer, seed_of
from mmafflm.benchmark.benchmark import Task, benchmark
from mmafflm.benchmark.grammar import Labels
from mmafflm.records import Record

ENGLISH = "en"


class Group(NamedTuple):
    """One task of one corpus in several languages."""

    name: str  # the corpus, or the subset if no other subset of the corpus has the task in another language
    key: str
    languages: dict[str, Answered]


class LanguageScore(NamedTuple):
    """The main metric of some rows, and its value in every resample; NaN when the score is withheld."""

    value: float
    drawn: Floats


def groups(tasks: Sequence[Answered]) -> list[Group]:
    """The tasks with several languages; tasks with a single language are left out."""
    found: dict[tuple[str, str], dict[str, Answered]] = {}
    for answered in tasks:
        corpus = benchmark()[answered.task.subset].corpus
        name = corpus if _siblings(corpus, answered.task.key) > 1 else answered.task.subset
        found.setdefault((name, answered.task.key), {}).update(answered.by_language())
    return [Group(name, key, parts) for (name, key), parts in found.items() if len(parts) > 1]


def _siblings(corpus: str, key: str) -> int:
    """In how many different sets of languages the corpus's subsets have a task of that key (SemEval: 3; EWECT: 1)."""
    with_task = [
        one for one in benchmark().values() if one.corpus == corpus and key in {task.key for task in one.tasks}
    ]
    return len({one.languages for one in with_task})


def record_text(task: Task, record: Record) -> str:
    """The text or transcript inside a prompt; "" for a task whose prompt has no text."""
    before, _, after = task.ask("\0", record.emotion or "").partition("\0")
    return record.prompt[len(before) : len(record.prompt) - len(after)] if after or before else ""


def collapse(tasks: Sequence[Answered], resamples: int = RESAMPLES) -> tuple[list[Finding], list[dict[str, Any]]]:
    """The findings, and what the report draws for each group: scores by language and script, prose by language."""
    findings, details = [], []
    for group in groups(tasks):
        scored = {name: _scored(group, name, one, resamples) for name, one in group.languages.items()}
        for language, one in group.languages.items():
            findings.extend(_findings(group, language, one, scored, resamples))
        scripts = _by_script(group)
        by_script = {name: _scored_parts(group, name, parts, resamples) for name, parts in scripts.items()}
        if ENGLISH in scored:
            findings.extend(_kept_script(group, name, scripts[name], by_script[name], scored[ENGLISH])
                            for name in scripts if len(scripts) > 1)  # fmt: skip
        details.append(
            {
                "group": group.name,
                "task": group.key,
                "metric": next(iter(group.languages.values())).task.main_metric,
                "languages": {
                    language: _row([one], scored[language], scored.get(ENGLISH))
                    | {"prose": _prose(one), "scripts": dict(Counter(map(script, _texts(one))))}
                    for language, one in group.languages.items()
                },
                "scripts": {name: _row(parts, by_script[name], scored.get(ENGLISH)) for name, parts in scripts.items()},
            }
        )
    return findings, details


def _texts(one: Answered) -> list[str]:
    return [record_text(one.task, record) for record in one.records]


def _by_script(group: Group) -> dict[str, list[Answered]]:
    """The rows of all languages by the script of their text; for each script a part per language that has such rows."""
    found: dict[str, list[Answered]] = {}
    for one in group.languages.values():
        scripts = np.array([script(text) for text in _texts(one)])
        for name in np.unique(scripts):
            found.setdefault(str(name), []).append(one.of(np.flatnonzero(scripts == name).tolist()))
    return {name: parts for name, parts in found.items() if name != NONE}


def _scored(group: Group, name: str, one: Answered, resamples: int) -> LanguageScore:
    return _scored_parts(group, name, [one], resamples)


def _scored_parts(group: Group, name: str, parts: Sequence[Answered], resamples: int) -> LanguageScore:
    """Score the rows of several parts together, such as the languages of one script.

    For example, a language that is mostly written in Latin letters has too few rows in Cyrillic to score them alone.
    The score is NaN when that of one part is withheld.
    """
    task = parts[0].task
    emotions = [emotion for part in parts for emotion in part.emotions or ()] or None
    gold = np.concatenate([part.read.gold for part in parts])
    groups = groups_of([record for part in parts for record in part.records])
    rows = distinct(gold, [np.concatenate([part.read.prediction for part in parts])], emotions, groups)
    measured = scorer(task, "strict", rows.gold, rows.predictions[0], rows.emotions)
    metric = task.main_metric
    if any(withheld(task, part.read, part.emotions) for part in parts):
        return LanguageScore(np.nan, np.full(resamples, np.nan))
    seed = seed_of("language", group.name, group.key, name)
    drawn = distribution(measured, rows.counts, resamples, seed, rows.members)
    return LanguageScore(float(measured(rows.counts[None, :])[metric][0]), drawn[metric])


def _row(parts: Sequence[Answered], scored: LanguageScore, english: LanguageScore | None) -> dict[str, Any]:
    """n, unparsed, and the score and its gap to English with their intervals."""
    rows = sum(len(part.records) for part in parts)
    unparsed = sum(len(part.read.unparsed) for part in parts)
    found = {"n": rows, "unparsed": unparsed, "score": number(scored.value), "ci95": interval(scored.drawn)}
    if english is not None:
        found["gap"] = number(english.value - scored.value)
        found["gap_ci95"] = [0.0, 0.0] if scored is english else interval(english.drawn - scored.drawn)
    return found


def _prose(one: Answered) -> dict[str, int]:
    """How many answers have prose in each language."""
    counts = Counter(language_of_prose(one.task, text) for text in one.texts)
    return dict(counts.most_common())


def _findings(
    group: Group, language: str, one: Answered, scored: Mapping[str, LanguageScore], resamples: int
) -> list[Finding]:
    found = [_foreign(group, language, one, resamples)]
    if isinstance(one.task.grammar, Labels) and _skilled_in_english(group, resamples):
        value, ci95, sentence = lift(one, f"{group.name} {language}", resamples)
        found.append(_finding("language_lift", group, language, one, value, ci95, sentence))
    if language != ENGLISH and ENGLISH in scored:
        found.append(_kept(group, language, one, scored))
        found.append(_unparsed(group, language, one, resamples))
    return found


def _skilled_in_english(group: Group, resamples: int) -> bool:
    """Whether English beats its baselines by the threshold of language_lift; True if the group has no English.

    If it does not, no language collapsed: the model follows a label prior, which the checks of label priors report.
    """
    if ENGLISH not in group.languages:
        return True
    value, _, _ = lift(group.languages[ENGLISH], f"{group.name} {ENGLISH}", resamples)
    return value is not None and value >= CHECKS["language_lift"].threshold


def _finding(
    check: str, group: Group, language: str, one: Answered, value: float | None, ci95: list[float] | None, sentence: str
) -> Finding:
    return Finding(check, one.task.subset, group.key, language, value, ci95, len(one.records), sentence)


def _kept(group: Group, language: str, one: Answered, scored: Mapping[str, LanguageScore]) -> Finding:
    value, ci95, said = _of_english(one.task, scored[language], scored[ENGLISH])
    return _finding("kept", group, language, one, value, ci95, f"{group.name} {language}: {said}")


def _kept_script(
    group: Group, name: str, parts: Sequence[Answered], here: LanguageScore, english: LanguageScore
) -> Finding:
    """Like _kept(), for a script; the sentence lists the languages of the rows."""
    task, rows = parts[0].task, sum(len(part.records) for part in parts)
    value, ci95, said = _of_english(task, here, english)
    languages = sorted({record.language for part in parts for record in part.records})
    sentence = f"{group.name} in {name} script ({', '.join(languages)}): {said}"
    return Finding("script_kept", task.subset, group.key, name, value, ci95, rows, sentence)


def _of_english(
    task: Task, here: LanguageScore, english: LanguageScore
) -> tuple[float | None, list[float] | None, str]:
    """The share of the English score that is kept, its interval, and a sentence.

    Share and interval are None when English has no score above 0, or a score is withheld.
    """
    if not np.isfinite([here.value, english.value]).all():
        return None, None, "no score to compare: most of these answers, or of the English ones, are unparsed."
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = np.where(english.drawn > 0, here.drawn / english.drawn, np.nan)
    value = here.value / english.value if english.value > 0 else None
    said = "the English score is not above 0" if value is None else f"{value:.0%} of the English score is kept"
    ends = interval(english.drawn - here.drawn) or [np.nan, np.nan]
    sentence = (
        f"{said} ({task.main_metric} {here.value:.3f} against {english.value:.3f}, a gap of "
        f"{english.value - here.value:+.3f} [{ends[0]:+.3f}, {ends[1]:+.3f}])."
    )
    return value, interval(drawn) if value is not None else None, sentence


def _unparsed(group: Group, language: str, one: Answered, resamples: int) -> Finding:
    english = group.languages[ENGLISH]
    drawn = [_flagged(len(each.read.unparsed), len(each.records), group, each, resamples) for each in (one, english)]
    rates = [len(each.read.unparsed) / len(each.records) for each in (one, english)]
    sentence = f"{group.name} {language}: {rates[0]:.1%} of the answers were not parsed, in English {rates[1]:.1%}."
    return _finding("language_unparsed", group, language, one, rates[0] - rates[1], interval(drawn[0] - drawn[1]),
                    sentence)  # fmt: skip


def _flagged(hits: int, rows: int, group: Group, one: Answered, resamples: int) -> Floats:
    """The share of unparsed rows in every resample."""
    seed = seed_of("unparsed", group.name, group.key, one.records[0].language)
    counts = np.array([rows - hits, hits], dtype=float)
    return distribution(lambda weights: {"share": weights[:, 1] / weights.sum(1)}, counts, resamples, seed)["share"]


def _foreign(group: Group, language: str, one: Answered, resamples: int) -> Finding:
    prose = _prose(one)
    foreign = {name: count for name, count in prose.items() if name not in (NONE, ENGLISH)}
    hits = sum(foreign.values())
    value, ci95 = share(hits, len(one.records), seed_of("prose", group.name, group.key, language), resamples)
    named = f" ({', '.join(f'{name} {count}' for name, count in foreign.items())})" if foreign else ""
    sentence = (
        f"{group.name} {language}: {hits} of {len(one.records)} answers contain prose that is not English{named}, "
        f"{prose.get(ENGLISH, 0)} contain English prose."
    )
    return _finding("foreign_prose", group, language, one, value, ci95, sentence)
