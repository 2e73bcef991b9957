"""The runs of a leaderboard: what each model accepts, the conditions of each run, and how the conditions differ."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.leaderboard.columns import MODALITIES
from eval.report.load import DIAGNOSIS, Run, hashes_of, run_names, scores_of
from eval.run.join import run_json
from eval.run.selection import Selection, split_of
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault

NOT_RECORDED = "not recorded"
# {condition: its value if run.json lacks it}; _condition() decides for None. A note says in which of them runs differ.
CONDITIONS = {
    "media": None, "data_hash": NOT_RECORDED, "limit": "none", "languages": "all", "readout": "greedy",
    "ablation": "none",
}  # fmt: skip
_NAMED = 4  # the most run names that a note lists


@dataclass(frozen=True)
class BoardEntry:
    """One run on the leaderboard."""

    run: Run
    accepts: tuple[str, ...]
    conditions: dict[str, str]

    @property
    def name(self) -> str:
        """The run's name on the page: the name of its folder, after the parent's if two runs have the same name."""
        return self.run.name

    @property
    def subsets(self) -> list[str]:
        """The subsets for which the run has scores in any mode, in the benchmark's order."""
        return [name for name in benchmark() if any(name in of["subsets"] for of in self.run.scores.values())]

    @property
    def about(self) -> str:
        """The evaluated model if its name is not the run's, and every condition that differs from the default."""
        described = self.run.described
        model = str(described.get("checkpoint") or "").rstrip("/").rpartition("/")[2]
        parts = [model if model not in ("", self.name) else ""]
        parts += ["imported answers" if described.get("engine") == "import" else ""]
        parts += [f"readout {self.run.readout}" if self.run.readout != "greedy" else ""]
        parts += [str(Selection.of_run(described)).removeprefix(", ")]
        media, ablation = self.conditions["media"], self.conditions["ablation"]
        parts += [f"media {media}" if media not in ("budget", NOT_RECORDED) else ""]
        parts += [f"ablation {ablation}" if ablation != "none" else ""]
        return "; ".join(filter(None, parts))


def load_entries(folders: Sequence[Path], data: Dataset) -> list[BoardEntry]:
    """The runs in the given order.

    Raises UsageFault for a folder that is given twice; UsageFault or Fault for a run that is not scored or does not
    answer the test split. Unlike a report, a leaderboard accepts a run on another build, and notes() mentions it.
    """
    return [_entry(folder, name, data) for folder, name in zip(folders, run_names(folders), strict=True)]


def _entry(folder: Path, name: str, data: Dataset) -> BoardEntry:
    described = run_json(folder)
    if (split := split_of(described)) != "test":
        raise Fault(f"{folder}: answers the {split} records, but a leaderboard needs answers to the test records.")
    scores = scores_of(folder, data)
    read = ["run.json", *(f"scores.{mode}.json" for mode in scores)]
    subsets = {name for found in scores.values() for name in found["subsets"]}
    read += [f"predictions/{name}.jsonl" for name in benchmark() if name in subsets]
    read += [DIAGNOSIS] if (folder / DIAGNOSIS).exists() else []  # for label_order.py
    run = Run(name, folder, described, scores, None, hashes_of(folder, read))
    return BoardEntry(run, _accepts(described), {key: _condition(described, key) for key in CONDITIONS})


def _accepts(described: Mapping[str, Any]) -> tuple[str, ...]:
    """What the model accepts, as the engine recorded it. Without this record, the modalities of the run's subsets."""
    found = described.get("accepts")
    if not isinstance(found, list):
        found = {benchmark()[name].modality for name in described["subsets"] if name in benchmark()}
    return tuple(one for one in MODALITIES if one in found)


def _condition(described: Mapping[str, Any], key: str) -> str:
    value = described.get(key)
    if value is None and key == "media":  # our engines recorded no media when they had only the budget
        return NOT_RECORDED if described.get("engine") == "import" else "budget"
    if value is None:
        return str(CONDITIONS[key])
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def accepts_text(accepts: Sequence[str]) -> str:
    """The title of the group of models that accept these modalities."""
    return {1: "Text", 2: "Text and images", 3: "Text, images and video"}.get(
        len(accepts) if tuple(accepts) == MODALITIES[: len(accepts)] else 0, " and ".join(accepts) or "Nothing"
    )


def notes(entries: Sequence[BoardEntry], data: Dataset) -> list[str]:
    """Sentences about conditions in which the runs differ, runs on another build, and missing paper-mode scores."""
    said = [_difference(entries, key) for key in CONDITIONS if len({one.conditions[key] for one in entries}) > 1]
    said += list(_other_data(entries, data))
    lacking = [one.name for one in entries if "paper" not in one.run.scores]
    if lacking and len(lacking) < len(entries):
        said.append(f"Without paper-mode scores (mmaffben score RUN --mode paper): {', '.join(lacking)}.")
    return said


def _difference(entries: Sequence[BoardEntry], key: str) -> str:
    values: dict[str, list[str]] = {}
    for one in entries:
        values.setdefault(one.conditions[key], []).append(one.name)
    each = "; ".join(f"{value[:12] if key == 'data_hash' else value}: {_few(names)}" for value, names in values.items())
    return f"The runs differ in {key}, so their scores do not come from the same test. {each}."


def _other_data(entries: Sequence[BoardEntry], data: Dataset) -> Iterator[str]:
    strange = [one.name for one in entries if one.conditions["data_hash"] != data.hash]
    if strange:
        yield f"Predicted with another build than {data.path.name}, on records with the same ids: {_few(strange)}."


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
