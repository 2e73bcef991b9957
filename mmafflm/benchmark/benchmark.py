"""MMAFFBen as data: its subsets, their tasks, prompts, answer grammars, metrics and published sizes.

The data are in the YAML and CSV files of this folder (paper Table 4, the published evaluator, the paper's scores).
"""

import csv
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from mmafflm.benchmark.grammar import Gold, Grammar, Label, Labels, Number, Ordinal, Vad
from mmafflm.errors import Fault, UsageFault

KINDS = (
    "emotion_intensity", "emotion_intensity_ordinal", "emotion_classification", "sentiment_polarity",
    "sentiment_intensity",
)  # fmt: skip
_FIELD = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Task:
    """One task of one subset. `key` is the task's name in scores; `kind` is the value of `task` in records."""

    subset: str
    key: str
    kind: str
    modality: str
    prompt_id: str
    prompt: str
    ours: bool  # this project wrote the prompt, not the paper
    grammar: Grammar
    test_rows: int  # as published
    emotions: tuple[str, ...] = ()  # emotions whose intensity the prompts ask for
    emotion_rows: tuple[tuple[str, int], ...] = ()  # published test rows of each emotion, in file order
    per_emotion: bool = False  # each emotion is scored separately, and the task's score is their mean
    paper_accuracy: str | None = None  # weighted_jaccard | subset | polarity; None where paper mode has no accuracy

    @property
    def name(self) -> str:
        """The task's name for people: its subset, followed by its key when the subset has several tasks."""
        return f"{self.subset} {self.key}" if len(benchmark()[self.subset].tasks) > 1 else self.subset

    @property
    def main_metric(self) -> str:
        """The task's main metric, in strict and in paper mode."""
        return "macro_f1" if isinstance(self.grammar, Labels) else "pearson"

    def ask(self, text: str = "", emotion: str = "") -> str:
        """The prompt with its text (or transcript) and emotion inserted exactly as given."""
        # str.format would fail on a tweet with braces. So the text is put between the two halves of the prompt.
        before, mark, after = self.prompt.partition("{transcript}" if "{transcript}" in self.prompt else "{text}")
        before, after = before.replace("{emotion}", emotion), after.replace("{emotion}", emotion)
        return before + text + after if mark else before

    def text_in(self, prompt: str, emotion: str = "") -> str | None:
        """The text (or transcript) that ask() put into `prompt`; None if the task has none or the wording differs."""
        before, found, after = self.ask("\x00", emotion).partition("\x00")
        if not found or not (prompt.startswith(before) and prompt.endswith(after)):
            return None
        return prompt[len(before) : len(prompt) - len(after)]

    def answer(self, gold: Gold, emotion: str | None = None) -> str:
        """The text of the gold answer. Raises ValueError when `gold` does not fit the grammar."""
        return self.grammar.render(gold, emotion)


@dataclass(frozen=True)
class Subset:
    """One subset; the paper has 18."""

    name: str
    corpus: str
    modality: str
    languages: tuple[str, ...]
    tasks: tuple[Task, ...]
    unit: str = ""  # what dependent rows have in common, such as a dialogue; "" where the corpus does not say

    @property
    def test_rows(self) -> int:
        """Published size of the test set, all tasks together."""
        return sum(task.test_rows for task in self.tasks)

    def task(self, kind: str) -> Task:
        """The task with this kind (a record's `task`) or this key. Raises KeyError when there is none."""
        for task in self.tasks:
            if kind in (task.kind, task.key):
                return task
        raise KeyError(f"{self.name} has no task {kind}")


def _text(name: str) -> str:
    return files("mmafflm").joinpath("benchmark", name).read_text(encoding="utf-8")


def _grammar(spec: dict[str, Any], sets: dict[str, dict[int, list[str]]]) -> Grammar:
    match spec["type"]:
        case "number":
            return Number(spec["low"], spec["high"], spec.get("decimals"))
        case "vad":
            return Vad(tuple(spec["dimensions"]), spec["low"], spec["high"], spec["decimals"])
        case "ordinal":
            return Ordinal(tuple(spec["classes"].items()))
        case "labels":
            named = spec["labels"] if "labels" in spec else sets[spec["set"]]
            labels = (Label(number, names[0], tuple(names[1:])) for number, names in named.items())
            return Labels(tuple(labels), spec.get("most", 1))
    raise Fault(
        f"mmafflm/benchmark/subsets.yaml: grammar type {spec['type']} is not one of number, vad, ordinal, labels."
    )


def _require_keys(name: str, whole: dict[str, Any]) -> None:
    """Raises Fault when an entry of subsets.yaml lacks a key."""
    tasks = whole.get("tasks") or {}
    missing = [key for key in ("corpus", "modality", "languages", "tasks", "test_rows") if key not in whole]
    missing += [f"tasks.{of}.{key}" for of in tasks for key in ("kind", "prompt", "grammar") if key not in tasks[of]]
    if not missing:
        missing = [f"test_rows.{of}" for of in tasks if of not in whole["test_rows"]]
    if missing:
        raise Fault(f"mmafflm/benchmark/subsets.yaml: subset {name} has no {', '.join(missing)}.")


def _require_tasks(name: str, whole: dict[str, Any], prompts: dict[str, Any]) -> None:
    """Raises Fault for a missing key, an unknown kind, prompt or field, and a prompt for texts without a text field.

    Also for a polarity that paper mode would read wrongly.
    """
    _require_keys(name, whole)
    for key, one in whole["tasks"].items():
        shared, where = isinstance(one["prompt"], str), f"mmafflm/benchmark/subsets.yaml: subset {name}, task {key}"
        if one["kind"] not in KINDS:
            raise Fault(f"{where}: kind {one['kind']} is not one of {', '.join(KINDS)}.")
        if one["grammar"] in ("polarity2", "polarity3") and one.get("paper_accuracy") != "polarity":
            raise Fault(
                f"{where}: add `paper_accuracy: polarity`, or paper mode reads the answers -1 and 1 as neutral."
            )
        if shared and one["prompt"] not in prompts:
            raise Fault(f"{where}: prompts.yaml has no prompt {one['prompt']}.")
        fields = set(_FIELD.findall((prompts[one["prompt"]] if shared else one["prompt"])["prompt"]))
        if strange := sorted(fields - {"text", "transcript", "emotion"}):
            raise Fault(
                f"{where}: its prompt has {{{strange[0]}}}; the fields are {{text}}, {{transcript}}, {{emotion}}."
            )
        if whole["modality"] == "text" and not fields & {"text", "transcript"}:
            raise Fault(f"{where}: its prompt has no {{text}}, so the model would not get the text.")


def _yaml(name: str) -> Any:
    """The value of a YAML file of this folder. Raises Fault, which names the line, when the file is not YAML."""
    try:
        return yaml.safe_load(_text(name))
    except yaml.YAMLError as error:
        raise Fault(f"mmafflm/benchmark/{name}: not YAML ({' '.join(str(error).split())}).") from None


@cache
def benchmark() -> dict[str, Subset]:
    """The subsets by name, in the order of the published predictions files.

    Raises Fault when a file is not YAML, and when subsets.yaml lacks a key or has a wrong kind, grammar type or prompt.
    """
    spec, prompts = _yaml("subsets.yaml"), _yaml("prompts.yaml")
    grammars = {name: _grammar(grammar, spec["label_sets"]) for name, grammar in spec["grammars"].items()}
    for name, entry in spec["subsets"].items():
        _require_tasks(name, entry, prompts)

    def task(subset: str, key: str, one: dict[str, Any], whole: dict[str, Any]) -> Task:
        emotions, shared, grammar = tuple(one.get("emotions", ())), isinstance(one["prompt"], str), one["grammar"]
        prompt = prompts[one["prompt"]] if shared else one["prompt"]
        return Task(
            subset=subset,
            key=key,
            kind=one["kind"],
            modality=whole["modality"],
            prompt_id=one["prompt"] if shared else f"{subset} {key}",
            prompt=prompt["prompt"],
            ours=prompt.get("ours", False),
            grammar=grammars[grammar] if isinstance(grammar, str) else _grammar(grammar, spec["label_sets"]),
            test_rows=whole["test_rows"][key],
            emotions=emotions,
            emotion_rows=tuple(whole.get("emotion_rows", {}).items()) if emotions else (),
            per_emotion=one.get("per_emotion", bool(emotions)),
            paper_accuracy=one.get("paper_accuracy"),
        )

    return {
        name: Subset(
            name=name,
            corpus=whole["corpus"],
            unit=whole.get("unit", ""),
            modality=whole["modality"],
            languages=tuple(whole["languages"]),
            tasks=tuple(task(name, key, one, whole) for key, one in whole["tasks"].items()),
        )
        for name, whole in spec["subsets"].items()
    }


def choose_subsets(names: str | None) -> list[Subset]:
    """The subsets named in a comma-separated list, in the benchmark's order; all when None.

    Raises UsageFault for an unknown name.
    """
    known = benchmark()
    if names is None:
        return list(known.values())
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if unknown := [name for name in wanted if name not in known]:
        raise UsageFault(f"--subsets: {', '.join(unknown)} is not one of {', '.join(known)}")
    return [subset for name, subset in known.items() if name in wanted]


@cache
def paper_scores() -> dict[tuple[str, str], dict[str, float]]:
    """Published macro F1, as fractions: {(subset, language): {model: score}} (paper, tables by language)."""
    scores: dict[tuple[str, str], dict[str, float]] = {}
    for row in csv.DictReader(_text("paper_scores_by_language.csv").splitlines()):
        scores.setdefault((row["subset"], row["language"]), {})[row["model"]] = float(row["macro_f1_percent"]) / 100
    return scores
