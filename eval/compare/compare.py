"""`mmaffben compare A B`: is B better than A, where, by how much, and which rows changed.

Every task, and every language of it, gets a paired permutation test on the records that both runs answered
(eval/score/permutation.py). The p-values of all these tests are corrected together (Holm); otherwise a benchmark of a
hundred tests would find five differences between two equally good models. The means (per subset of several tasks, task,
modality, language, and over languages) are in a second table, and their p-values are corrected separately. Fewer than
LEAST_TESTED rows are not tested. A task whose score is withheld in one of the runs (most answers are unparsed, see
eval/score/figure.py) is not tested, and no mean contains it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from eval.diagnosis.modality import changes
from eval.run.join import load_predictions, run_json
from eval.run.selection import Selection, split_of
from eval.score.aggregate import Unit, aggregates, macro_over_languages
from eval.score.answered import Answered, by_task, chosen_subsets, swapped
from eval.score.bootstrap import SEED
from eval.score.figure import withheld
from eval.score.groups import unit_of
from eval.score.metrics import number
from eval.score.paired import holm, seed_of
from eval.score.permutation import LEAST_TESTED, PERMUTATIONS, judge
from eval.score.verdict import right_rows
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault, UsageFault
from mmafflm.records import Prediction, Record, write_jsonl, write_text

SCHEMA = 3  # of comparison.NAME.json; 3: permutation tests
# Entries of run.json. If one of MUST_AGREE differs, the scores are not comparable; if one of NOTED does, we add a note.
MUST_AGREE = ("data_hash", "split", "limit", "languages", "ablation", "readout", "media")
NOTED = ("engine", "decoding", "budget", "template", "dtype")
_DEFAULTS = {"split": "test", "ablation": "none", "readout": "greedy", "media": "budget"}  # if run.json lacks them


class Compared(NamedTuple):
    """The result of compare(): the content of the JSON file, and the changed rows."""

    result: dict[str, Any]
    changed: list[dict[str, Any]]


def compare(
    a: Sequence[Answered], b: Sequence[Answered], mode: str = "strict", permutations: int = PERMUTATIONS, seed: int = 0
) -> Compared:
    """Compare B with A on the same tasks and records, in the same order. Reads and writes no files.

    seed: added to every unit's own seed. Raises Fault when the records of a task differ.
    """
    units, rows, changed = [], [], []
    for one, other in _same_records(a, b):
        for language, left, right in _parts(one, other):
            unit, row = _unit(left, right, language, mode, permutations, seed)
            rows.append(row)
            if not row["withheld"]:
                units.append(unit)
        changed.extend(_changed_rows(one, other))
    means, over_languages = aggregates(units), macro_over_languages(units)
    result = {
        "schema": SCHEMA,
        "mode": mode,
        "permutations": permutations,
        "seed": SEED + seed,
        "least_rows": LEAST_TESTED,
        "units": rows,
        "aggregates": means,
        "macro_over_languages": over_languages,
    }
    result |= {"tests": correct(rows), "tests_of_means": correct(list(means_of(result)))}
    return Compared(result, changed)


def means_of(found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows of the table of means, including the means over languages that could be computed."""
    yield from found["aggregates"]
    yield from (one for one in found["macro_over_languages"].values() if "refused" not in one)


def correct(table: Sequence[dict[str, Any]]) -> int:
    """Set p_holm of every tested row of a table to p, corrected for the number of tests. Returns this number."""
    rows = [row for row in table if row["p"] is not None]
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = p
    return len(rows)


def _same_records(a: Sequence[Answered], b: Sequence[Answered]) -> list[tuple[Answered, Answered]]:
    pairs = list(zip(a, b, strict=True))
    for one, other in pairs:
        if [record.id for record in one.records] != [record.id for record in other.records]:
            raise Fault(f"{one.name}: the two runs have different records. Compare the records that both answered.")
    return pairs


def _parts(one: Answered, other: Answered) -> list[tuple[str | None, Answered, Answered]]:
    """(language, A's answers, B's answers): the whole task with language None, then each language if it has several."""
    parts: list[tuple[str | None, Answered, Answered]] = [(None, one, other)]
    languages = one.by_language()
    if len(languages) > 1 and len(benchmark()[one.task.subset].languages) > 1:
        others = other.by_language()
        parts += [(language, languages[language], others[language]) for language in languages]
    return parts


def _unit(
    one: Answered, other: Answered, language: str | None, mode: str, permutations: int, seed: int
) -> tuple[Unit, dict[str, Any]]:
    """One test: the differences of all metrics, and the p-value of the main metric."""
    runs = swapped(one, other, mode, permutations, seed + seed_of("compare", one.name, language or ""))
    drawn, n, metric = runs.difference(0, 1), len(one.records), one.task.main_metric
    a, b = ({name: float(value[0]) for name, value in runs.values(run).items()} for run in (0, 1))
    found = {name: judge(values, n) for name, values in drawn.items()}
    spoken = tuple(sorted({record.language for record in one.records} & set(benchmark()[one.task.subset].languages)))
    unparsed = (len(one.read.unparsed), len(other.read.unparsed))
    unit = Unit(one.task, language, spoken, metric, n, a[metric], b[metric], drawn[metric], unparsed)
    reasons = {side: withheld(each.task, each.read, each.emotions) for side, each in (("a", one), ("b", other))}
    reasons = {side: reason for side, reason in reasons.items() if reason}
    return unit, {
        "subset": one.task.subset, "task": one.task.key, "language": language, "metric": metric,
        "n": n, "unit": unit_of(one.records), "a": number(a[metric]), "b": number(b[metric]),
        "difference": found[metric].difference, "ci95": found[metric].ci95,
        "unparsed": dict(zip("ab", unparsed, strict=True)), "withheld": reasons,
        "p": None if reasons else found[metric].p, "p_holm": None, **_moved(one, other),
        "metrics": {name: {"a": number(a[name]), "b": number(b[name]), "difference": of.difference, "ci95": of.ci95}
                    for name, of in found.items()},
    }  # fmt: skip


def _moved(one: Answered, other: Answered) -> dict[str, int]:
    """How many rows have different answers in A and B, and how many of these became right or wrong."""
    moved = changes(one, other)
    right_a, right_b = right_rows(one.task, one.read), right_rows(other.task, other.read)
    found = {"changed": moved, "fixed": moved & ~right_a & right_b, "broken": moved & right_a & ~right_b}
    return {name: int(rows.sum()) for name, rows in found.items()}


def _changed_rows(one: Answered, other: Answered) -> list[dict[str, Any]]:
    """The rows whose parsed answers differ in A and B; another wording of the same answer is not a change."""
    right_a, right_b = right_rows(one.task, one.read), right_rows(other.task, other.read)
    return [
        {
            "id": one.records[row].id, "gold": one.records[row].gold, "a": one.texts[row], "b": other.texts[row],
            "a_right": bool(right_a[row]), "b_right": bool(right_b[row]),
        }
        for row in np.flatnonzero(changes(one, other)).tolist()
    ]  # fmt: skip


def compare_each(
    a: Path, runs: Sequence[Path], data: Dataset, mode: str, subsets: Sequence[str] | None = None, anyway: bool = False
) -> list[dict[str, Any]]:
    """Call compare_runs(a, run) for each run. Checks all runs first, so that a wrong one is reported at once."""
    described = run_json(a)
    for run in runs:
        _require_alike(a, run, {"a": described, "b": run_json(run)}, data, anyway)
    return [compare_runs(a, run, data, mode, subsets, anyway) for run in runs]


def compare_runs(
    a: Path, b: Path, data: Dataset, mode: str = "strict", subsets: Sequence[str] | None = None, anyway: bool = False
) -> dict[str, Any]:
    """Compare run B with run A; write B/comparison.NAME.json, and the changed rows to B/comparison.NAME.jsonl.

    NAME is A's folder. anyway: compare even if one of MUST_AGREE (data, limit, readout, ...) differs. Raises Fault when
    one differs without `anyway`, when the records changed after the build, and when the runs have no answered record of
    a subset in common; UsageFault when they have no subset in common and for a subset that a run does not have.
    """
    described = {"a": run_json(a), "b": run_json(b)}
    notes = _require_alike(a, b, described, data, anyway)
    asked = str(Selection.of_run(described["a"])).removeprefix(", ")
    notes += [f"{a} answered {asked}"] if asked else []
    names = [name for name in benchmark() if all(name in one["subsets"] for one in described.values())]
    if subsets is None:
        notes += [f"{name}: answered by one run only, left out" for name in benchmark()
                  if name not in names and any(name in one["subsets"] for one in described.values())]  # fmt: skip
    if not (names := names if subsets is None else list(subsets)):
        raise UsageFault(f"{a} and {b} have no subset in common. Predict the same subsets with both.")
    left, right = [], []
    for name in chosen_subsets(a, described["a"], data, names):
        chosen_subsets(b, described["b"], data, [name])
        records, texts, note = _both(name, list(data.records(name, split_of(described["a"]))), a, b)
        notes += note
        left.extend(by_task(name, records, texts[0], mode))
        right.extend(by_task(name, records, texts[1], mode))
    result, changed = compare(left, right, mode)
    about = {
        side: {
            "run": str(path.resolve()),
            **{name: described[side].get(name) for name in ("checkpoint", *MUST_AGREE, *NOTED)},
        }
        for side, path in (("a", a), ("b", b))
    }
    result = {"schema": result["schema"], **about, "notes": notes} | result
    stem = f"comparison.{a.resolve().name}"
    write_jsonl(b / f"{stem}.jsonl", changed)
    text = json.dumps(result, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
    write_text(b / f"{stem}.json", text)
    return result


def _require_alike(
    a: Path, b: Path, described: Mapping[str, Mapping[str, Any]], data: Dataset, anyway: bool
) -> list[str]:
    """The differences between the runs, as notes. Raises Fault when MUST_AGREE or the data differ, unless `anyway`."""

    def value(side: str, name: str) -> Any:
        return described[side].get(name, _DEFAULTS.get(name))

    differ = [
        f"{name}: {value('a', name)} and {value('b', name)}"
        for name in MUST_AGREE
        if value("a", name) != value("b", name)
    ]
    strange = [str(path) for path, side in ((a, "a"), (b, "b")) if value(side, "data_hash") != data.hash]
    if strange and not any(one.startswith("data_hash") for one in differ):
        differ.append(f"{' and '.join(strange)}: other data than {data.path}")
    if differ and not anyway:
        raise Fault(
            f"{a} and {b} were evaluated differently ({'; '.join(differ)}), so a difference may not come from the "
            "model. Predict again with equal settings, or pass --anyway to compare the records that both answered."
        )
    noted = [name for name in NOTED if None not in (value("a", name), value("b", name))]
    return [
        *(f"compared anyway, though they differ in {one}" for one in differ),
        *(f"{name} differs: {value('a', name)} and {value('b', name)}" for name in noted
          if value("a", name) != value("b", name)),
    ]  # fmt: skip


def _both(
    subset: str, records: Sequence[Record], a: Path, b: Path
) -> tuple[list[Record], tuple[list[str], list[str]], list[str]]:
    """The records that both runs answered, each run's answers, and a note when some were left out."""
    answers = [_by_id(run, subset, {record.id for record in records}) for run in (a, b)]
    kept = [record for record in records if all(record.id in one for one in answers)]
    if not kept:
        raise Fault(
            f"{subset}: {a} and {b} answered no record in common. Predict with the same --limit, or leave it out "
            "with --subsets."
        )
    alone = [len(one) - len(kept) for one in answers]
    note = f"{subset}: {len(kept)} records compared; only {a} answered {alone[0]} more, only {b} {alone[1]} more"
    texts = tuple([one[record.id] for record in kept] for one in answers)
    return kept, (texts[0], texts[1]), [note] if any(alone) else []


def _by_id(run: Path, subset: str, known: set[str]) -> dict[str, str]:
    """{id: raw answer}. Raises Fault for an id that occurs twice or belongs to no record."""
    path = run / "predictions" / f"{subset}.jsonl"
    found: dict[str, str] = {}
    for one in load_predictions(path):
        _require_new(path, one, found, known)
        found[one.id] = one.prediction
    return found


def _require_new(path: Path, one: Prediction, found: Mapping[str, str], known: set[str]) -> None:
    if one.id in found or one.id not in known:
        fault = "occurs twice" if one.id in found else "is not the id of a record of this subset"
        raise Fault(f"{path}: {one.id} {fault}. Remove the line, or predict again.")
