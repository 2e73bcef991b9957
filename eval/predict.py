"""`mmaffben predict`: ask a checkpoint every chosen test record; stopped anywhere, the same command goes on."""

import platform
from itertools import groupby
from pathlib import Path
from typing import Any

from eval.ablate import questions
from eval.checkpoint import require_budget
from eval.engines import Engine, Metered, make_engine
from eval.progress import Advance, progress
from eval.run_folder import WHOLE, RunFolder, Shard
from eval.selection import first_of
from mmafflm.benchmark import Task, benchmark
from mmafflm.command import say
from mmafflm.dataset import Dataset, split_file
from mmafflm.errors import UsageFault
from mmafflm.grammar import Labels, Ordinal, Vad
from mmafflm.media import Budget
from mmafflm.records import Record, media_files
from mmafflm.run_file import installed

SLACK = 8  # tokens beyond the longest gold answer: a lead-in such as "Answer: " must not cut the answer off


def predict(
    ckpt: str | Path,
    data: Dataset,
    out: Path,
    subsets: list[str] | None = None,
    limit: int | None = None,
    batch_size: int = 32,
    dtype: str = "auto",
    force: bool = False,
    ablation: str = "none",
    engine: Engine | str = "hf",
    options: dict[str, str] | None = None,
    shard: Shard = WHOLE,
    split: str = "test",
) -> None:
    """Write OUT/predictions/SUBSET.jsonl, one raw greedy answer for every chosen record of a split, in record order.

    limit: at most so many records a subset, spread over its tasks and languages. dtype: the checkpoint's by default.
    force: though the checkpoint was trained with another media budget. ablation: what is taken away from the question.
    engine: one of eval.engines.ENGINES, made with `options`, or one that was made already. shard: this process's share.
    Raises Fault when data, checkpoint or an earlier run in OUT do not fit; UsageFault for a wrong argument.
    """
    if batch_size < 1 or (limit is not None and limit < 1):
        raise UsageFault("--batch-size and --limit are 1 or more")
    budget = Budget()
    if isinstance(engine, str):
        engine = make_engine(engine, str(ckpt), dtype, data.path, budget, options or {})
    require_budget(str(ckpt), budget, force)
    chosen = chosen_records(data, split, subsets, limit)
    folder = RunFolder(out, shard)
    left = _left(folder, chosen)
    if left:
        engine.load()  # before run.json: a checkpoint that cannot be loaded leaves nothing behind
    with folder.at_work():
        row = _describe(str(ckpt), data, engine, budget, limit, ablation)
        row |= {"split": split}
        folder.keep(row | {"subsets": {name: {"expected": len(records)} for name, records in chosen.items()}})
        if not left:
            say(f"{out}: all {sum(map(len, chosen.values()))} answers are there already.")
        try:
            with progress("predict", left) as advance:
                for name, records in chosen.items():
                    _ask(engine, name, records, folder, batch_size, ablation, advance)
        finally:
            _count(engine, folder)  # the failed requests too


def _left(folder: RunFolder, chosen: dict[str, list[Record]]) -> int:
    """How many records are this process's share and not answered yet."""
    count = 0
    for name, records in chosen.items():
        done = folder.answered(name, records)
        count += sum(record.id not in done and folder.shard.has(record.id) for record in records)
    return count


def chosen_records(data: Dataset, split: str, subsets: list[str] | None, limit: int | None) -> dict[str, list[Record]]:
    """The records to ask, per subset. Raises Fault for changed data and missing media."""
    built = data.subsets(split)
    names = built if subsets is None else subsets
    if missing := [name for name in names if name not in built]:
        raise UsageFault(f"{data.path}: {', '.join(missing)} has no {split} split here; there are {', '.join(built)}.")
    data.require_unchanged([split_file(name, split) for name in names])
    chosen = {name: first_of(list(data.records(name, split)), limit) for name in names}
    data.require_media(name for records in chosen.values() for record in records for name in media_files(record))
    return chosen


def _ask(
    engine: Engine,
    subset: str,
    records: list[Record],
    folder: RunFolder,
    batch_size: int,
    ablation: str,
    advance: Advance,
) -> None:
    """Answer this process's share of what is not answered yet, a task and an emotion at a time."""
    folder.mend(subset)
    done = folder.answered(subset, records)
    by_task = sorted(records, key=lambda record: (record.task, record.emotion or ""))
    for (kind, _), group in groupby(by_task, key=lambda record: (record.task, record.emotion)):
        asked = list(group)
        wanted = [at for at, record in enumerate(asked) if record.id not in done and folder.shard.has(record.id)]
        if not wanted:
            continue  # the engine may not even be loaded
        most = most_tokens(benchmark()[subset].task(kind), engine)
        for answers in engine.answer(questions(asked, ablation), wanted, most, batch_size):
            folder.append(subset, {asked[position].id: text for position, text in answers})
            _count(engine, folder)
            advance(len(answers))
    if missing := folder.finish(subset, records):
        say(f"{subset}: {missing} of {len(records)} answers are other processes' share.")


def _count(engine: Engine, folder: RunFolder) -> None:
    if isinstance(engine, Metered):
        folder.spend(engine.spent())


def most_tokens(task: Task, engine: Engine) -> int:
    """How many tokens an answer may take: those of the task's longest gold answer, and some slack."""
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


def _describe(
    ckpt: str, data: Dataset, engine: Engine, budget: Budget, limit: int | None, ablation: str
) -> dict[str, Any]:
    return {
        "schema": 1,
        "checkpoint": ckpt,
        "weights": None,  # an endpoint does not show them
        "engine": engine.name,
        "readout": "greedy",
        "template": "qwen2_vl",
        "budget": budget.to_json(),
        **engine.describe(),
        "data": str(data.path.resolve()),
        "data_hash": data.hash,
        "limit": limit,
        "ablation": ablation,
        "versions": {
            "python": platform.python_version(),
            **installed("mmafflm", "torch", "transformers", "tokenizers"),
        },
    }
