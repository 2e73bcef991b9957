"""`mmaffben predict`: a checkpoint answers every chosen record. The same command resumes a run that was stopped."""

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.ask.ablation import questions
from eval.ask.likelihoods import Weighing, groups, task_of
from eval.ask.variants import form, prompts_hash
from eval.engines import Engine, Metered, Tried, make_engine
from eval.run.checkpoint import budget_for
from eval.run.run_folder import RunFolder
from eval.run.selection import Selection
from eval.score.readout import readout_of
from mmafflm.benchmark.benchmark import Task, benchmark
from mmafflm.benchmark.grammar import Labels, Ordinal, Vad
from mmafflm.dataset import Dataset, split_file
from mmafflm.errors import Fault, UsageFault
from mmafflm.media.budget import Budget
from mmafflm.records import Record, media_files
from mmafflm.run_file import installed, read_run
from mmafflm.shard import WHOLE, Shard
from mmafflm.terminal.command import say
from mmafflm.terminal.progress_bar import Advance, progress

SLACK = 8  # tokens beyond the longest gold answer: room for a lead-in such as "Answer: "


def predict(
    ckpt: str | Path,
    data: Dataset,
    out: Path,
    subsets: list[str] | None = None,
    limit: int | None = None,
    languages: Sequence[str] | None = None,
    batch_size: int = 32,
    dtype: str = "auto",
    force: bool = False,
    ablation: str = "none",
    engine: Engine | str = "hf",
    options: dict[str, str] | None = None,
    shard: Shard = WHOLE,
    split: str = "test",
    readout: str = "greedy",
) -> None:
    """Write OUT/run.json and OUT/predictions/SUBSET.jsonl, one answer for every chosen record, in record order.

    limit: at most this many records per subset, sampled over its tasks and languages. languages: only records in these
    languages. dtype: "auto" is the checkpoint's. force: accept a checkpoint trained with another media budget.
    ablation: one of eval.ask.ablation.ABLATIONS. shard: the share of the records that this process answers.
    engine: one of eval.engines.ENGINES, made with `options`, or an engine made with budget_for(ckpt, data.budget,
    force). readout: one of eval.score.readout.READOUTS; tasks to which it does not apply are answered greedily.
    Raises Fault when the data or the checkpoint is unusable or OUT has another run; UsageFault for a wrong argument.
    """
    if batch_size < 1 or (limit is not None and limit < 1):
        raise UsageFault("--batch-size and --limit must be 1 or more")
    budget = budget_for(str(ckpt), data.budget, force)
    if isinstance(engine, str):
        engine = make_engine(engine, str(ckpt), dtype, data.path, budget, options or {})
    selection = Selection(limit, None if languages is None else tuple(languages))
    chosen = chosen_records(data, split, askable(engine, data, split, subsets, Path(out)), selection)
    asked = {"data_hash": data.hash, "split": split, **selection.to_json(), "ablation": ablation, "readout": readout}
    asked |= prompts_hash(ablation)
    asking = _Asking(engine, RunFolder(out, shard), batch_size, ablation, readout)
    asking.folder.require_same(asked)  # first: later, the files of another run cause less clear messages
    weighing = Weighing(asking.folder, data, chosen, readout, limit)
    asking.run(chosen, weighing, _described(str(ckpt), data, budget, asked))


def askable(engine: Engine, data: Dataset, split: str, subsets: list[str] | None, out: Path) -> list[str] | None:
    """The subsets to evaluate: `subsets` (None: all of the build) if the model accepts them, else those it accepts.

    Prints the subsets that are left out. Raises UsageFault when `subsets` contains one that the model does not accept,
    and when it accepts no subset of the build.
    """
    takes = _accepted(engine, out)
    names = data.subsets(split) if subsets is None else subsets
    others = [name for name in names if benchmark()[name].modality not in takes]
    if not others:
        return subsets
    left = [name for name in names if name not in others]
    said = f"the model accepts {' and '.join(takes)} only"
    if subsets is not None or not left:
        clips = any(benchmark()[name].modality == "video" for name in others) and "image" in takes
        advice = " Clips can be shown as pictures: --engine hf --option clips=frames." if clips else ""
        raise UsageFault(f"{', '.join(others)}: cannot be evaluated, because {said}.{advice}")
    say(f"Not evaluated, because {said}: {', '.join(others)}.")
    return left


def _accepted(engine: Engine, out: Path) -> tuple[str, ...]:
    """The modalities that the model accepts.

    If the engine cannot determine them, because the model is no longer here, they are read from OUT/run.json.
    """
    try:
        return engine.accepts()
    except Fault:
        kept = (read_run(out) or {}).get("accepts")
        if not isinstance(kept, list):
            raise
        return tuple(map(str, kept))


def chosen_records(
    data: Dataset, split: str, subsets: list[str] | None, selection: Selection
) -> dict[str, list[Record]]:
    """The records to answer, as {subset: records}.

    Raises Fault for changed data and missing media; UsageFault when the build does not have a subset and split, and
    when no record is in the chosen languages or the split is empty.
    """
    names = data.subsets(split) if subsets is None else subsets
    data.require_subsets(names, split)
    data.require_unchanged([split_file(name, split) for name in names])
    chosen = {name: found for name in names if (found := selection.of(data.records(name, split)))}
    if not chosen and selection.languages is None:
        raise UsageFault(
            f"{data.path}: no {split} rows{f' of {some}' if (some := ', '.join(names)) else ''}. Build more data."
        )
    if not chosen:
        asked = ",".join(selection.languages or ())
        raise UsageFault(f"--languages {asked}: {', '.join(names)} has no {split} rows in these languages.")
    data.require_media(name for records in chosen.values() for record in records for name in media_files(record))
    return chosen


@dataclass(frozen=True)
class _Asking:
    """How this process answers the records of a run (the same for all subsets) and where it writes the answers."""

    engine: Engine
    folder: RunFolder
    batch_size: int
    ablation: str
    readout: str

    def left(self, chosen: dict[str, list[Record]]) -> Counter[str]:
        """How many records of each modality this process still has to answer greedily."""
        count = Counter[str]()
        for name, records in chosen.items():
            done = self.folder.answered(name, records)
            left = [record for record in records if record.id not in done and self.folder.shard.has(record.id)]
            tasks = map(task_of, left)
            count.update(task.modality for task in tasks if readout_of(task, self.readout) == "greedy")
        return count

    def run(self, chosen: dict[str, list[Record]], weighing: Weighing, described: dict[str, Any]) -> None:
        """Write run.json (`described`, the engine's entries, the subsets); then answer or weigh the remaining
        records."""
        if weighing.rows:
            # An engine without likelihoods raises here, before anything is written.
            self.engine.likelihoods((), (), (), self.batch_size)
        left = self.left(chosen) + weighing.left()
        if left.total():
            # before run.json, so that a checkpoint that cannot be loaded or cannot answer leaves no files
            self.engine.load()
            if isinstance(self.engine, Tried):
                firsts = {task_of(records[0]).modality: records[0] for records in chosen.values()}
                self.engine.try_out(questions(list(firsts.values())), weighed=bool(weighing.rows))
        with self.folder.at_work():
            subsets = {name: {"expected": len(records)} for name, records in chosen.items()}
            self.folder.keep(described | {"engine": self.engine.name} | self.engine.describe() | {"subsets": subsets})
            if not left.total():
                say(f"{self.folder.out}: all {sum(map(len, chosen.values()))} answers are there already.")
            self._answer(chosen, weighing, left)

    def _answer(self, chosen: dict[str, list[Record]], weighing: Weighing, left: Counter[str]) -> None:
        try:
            with progress("predict", left) as advance:
                for name, records in chosen.items():
                    self._ask(name, records, advance)
                    weighing.ask(self.engine, name, self.batch_size, self.ablation, advance)
                    if missing := self.folder.finish(name, records):
                        say(f"{name}: {missing} of {len(records)} answers are missing; other processes make them.")
        finally:
            self._count()  # also after an exception: failed requests cost too

    def _ask(self, subset: str, records: list[Record], advance: Advance) -> None:
        """Answer this process's remaining records with a greedy readout, one task and emotion at a time."""
        folder, engine = self.folder, self.engine
        folder.mend(subset)
        done = folder.answered(subset, records)
        for task, _, asked in groups(records):
            wanted = [at for at, record in enumerate(asked) if record.id not in done and folder.shard.has(record.id)]
            if not wanted or readout_of(task, self.readout) != "greedy":
                continue  # with no records left, the engine may not be loaded
            asked_as = form(task, self.ablation)
            most = most_tokens(asked_as.task, engine)
            for answers in engine.answer(questions(asked, self.ablation), wanted, most, self.batch_size):
                folder.append(subset, {asked[position].id: asked_as.restore(text) for position, text in answers})
                self._count()
                advance({task.modality: len(answers)})

    def _count(self) -> None:
        if isinstance(self.engine, Metered):
            self.folder.spend(self.engine.spent())


def most_tokens(task: Task, engine: Engine) -> int:
    """How many tokens an answer may have: those of the task's longest gold answer, plus SLACK."""
    emotions = task.emotions or ("",)
    match task.grammar:
        case Labels() as labels:
            longest = sorted(labels.names, key=engine.tokens)[-labels.most :]
            texts = [task.answer(longest)]
        case Ordinal() as ordinal:
            texts = [task.answer(number, emotion) for number, _ in ordinal.classes for emotion in emotions]
        case Vad() as vad:
            texts = [task.answer(dict.fromkeys(vad.dimensions, vad.high))]
        case number:
            texts = [f"{number.low:.4f}"]
    return max(map(engine.tokens, texts)) + SLACK


def _described(ckpt: str, data: Dataset, budget: Budget, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of run.json that do not depend on the engine. `asked`: those about records, prompts and readout."""
    return {
        "schema": 1,
        "checkpoint": ckpt,
        "weights": None,  # the engine replaces it; the weights behind an API endpoint are unknown
        "budget": budget.to_json(),
        "data": str(data.path.resolve()),
        **asked,
        "versions": {
            "python": platform.python_version(),
            **installed("mmafflm", "torch", "transformers", "tokenizers"),
        },
    }
