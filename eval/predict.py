"""`mmaffben predict`: ask a checkpoint every chosen test record; stopped anywhere, the same command goes on."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from eval.ablate import questions
from eval.checkpoint import require_budget
from eval.engines import Engine, make_engine
from eval.selection import first_of
from mmafflm.benchmark import Task, benchmark
from mmafflm.command import say
from mmafflm.dataset import Dataset, split_file
from mmafflm.errors import Fault, UsageFault
from mmafflm.grammar import Labels, Ordinal, Vad
from mmafflm.media import Budget
from mmafflm.records import Record, append_jsonl, drop_torn_line, media_files, read_jsonl, write_jsonl
from mmafflm.run_file import RUN, installed, read_run, write_run

SLACK = 8  # tokens beyond the longest gold answer: a lead-in such as "Answer: " must not cut the answer off
# What a run cannot change while it goes on: another value makes answers that do not belong together.
FIXED = (
    "engine",
    "readout",
    "checkpoint",
    "weights",
    "dtype",
    "decoding",
    "budget",
    "data_hash",
    "limit",
    "template",
    "ablation",
)


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
) -> None:
    """Write OUT/predictions/SUBSET.jsonl, one raw greedy answer for every chosen test record, in record order.

    limit: at most so many records a subset, spread over its tasks and languages. dtype: the checkpoint's by default.
    force: though the checkpoint was trained with another media budget. ablation: what is taken away from the question.
    engine: one of eval.engines.ENGINES, made with `options`, or one that was made already.
    Raises Fault when data, checkpoint or an earlier run in OUT do not fit; UsageFault for a wrong argument.
    """
    if batch_size < 1 or (limit is not None and limit < 1):
        raise UsageFault("--batch-size and --limit are 1 or more")
    budget = Budget()
    if isinstance(engine, str):
        engine = make_engine(engine, str(ckpt), dtype, data.path, budget, options or {})
    require_budget(str(ckpt), budget, force)
    chosen = _chosen(data, subsets, limit)
    done = {name: _answered(_file(out, name), records) for name, records in chosen.items()}
    left = sum(len(records) - len(done[name]) for name, records in chosen.items())
    if left:
        engine.load()  # before run.json: a checkpoint that cannot be loaded leaves nothing behind
    row = _describe(str(ckpt), data, engine, budget, limit, ablation) | {
        "subsets": {name: {"expected": len(records)} for name, records in chosen.items()}
    }
    _keep_run(out, row)
    if not left:
        say(f"{out}: all {sum(map(len, chosen.values()))} answers are there already.")
    with _progress(left) as advance:
        for name, records in chosen.items():
            _ask(engine, records, done[name], _file(out, name), batch_size, ablation, advance)


def _file(out: Path, subset: str) -> Path:
    return out / "predictions" / f"{subset}.jsonl"


def _chosen(data: Dataset, subsets: list[str] | None, limit: int | None) -> dict[str, list[Record]]:
    """The records to ask, per subset. Raises Fault for changed data and missing media."""
    built = data.subsets("test")
    names = built if subsets is None else subsets
    if missing := [name for name in names if name not in built]:
        raise UsageFault(f"{data.path}: {', '.join(missing)} has no test split here; there are {', '.join(built)}.")
    data.require_unchanged([split_file(name, "test") for name in names])
    chosen = {name: first_of(list(data.records(name, "test")), limit) for name in names}
    data.require_media(name for records in chosen.values() for record in records for name in media_files(record))
    return chosen


def _answered(path: Path, records: list[Record]) -> dict[str, str]:
    """{id: prediction} of an earlier, interrupted call. Raises Fault for an id that this run does not ask."""
    if not path.exists():
        return {}
    drop_torn_line(path)
    known, found = {record.id for record in records}, {}
    for number, row in enumerate(read_jsonl(path), 1):
        if set(row) != {"id", "prediction"} or row["id"] not in known or row["id"] in found:
            raise Fault(
                f"{path}:{number}: {row.get('id')!r} is not a new answer of this run (foreign or double id). "
                "Remove the line, or choose another --out."
            )
        found[row["id"]] = row["prediction"]
    return found


def _ask(
    engine: Engine,
    records: list[Record],
    done: dict[str, str],
    path: Path,
    batch_size: int,
    ablation: str,
    advance: Any,
) -> None:
    """Answer what is not yet in `done`, then put the file in record order."""
    before = len(done)
    by_task = sorted(records, key=lambda record: (record.task, record.emotion or ""))
    for (kind, _), group in groupby(by_task, key=lambda record: (record.task, record.emotion)):
        asked = list(group)
        wanted = [position for position, record in enumerate(asked) if record.id not in done]
        task = benchmark()[asked[0].subset].task(kind)
        most = most_tokens(task, engine)
        for answers in engine.answer(questions(asked, ablation), wanted, most, batch_size):
            new = {asked[position].id: text for position, text in answers}
            append_jsonl(path, ({"id": name, "prediction": text} for name, text in new.items()))
            done |= new
            advance(len(new))
    in_order = [record.id for record in records]
    if len(done) > before or list(done) != in_order:
        write_jsonl(path, ({"id": name, "prediction": done[name]} for name in in_order))


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


def _keep_run(out: Path, row: dict[str, Any]) -> None:
    """Write run.json before the first answer. Raises Fault when it is another run's, naming what differs."""
    before = read_run(out)
    if before is not None:
        if differ := [name for name in FIXED if before.get(name) != row[name]]:
            name = differ[0]
            raise Fault(
                f"{out / RUN}: this run has {name} {before.get(name)}, not {row[name]}. "
                "Choose another --out, or give the same arguments to go on."
            )
        row = row | {"subsets": before["subsets"] | row["subsets"]}
    elif any((out / "predictions").glob("*.jsonl")):
        raise Fault(f"{out}: has predictions and no run.json, so nobody knows whose. Choose another --out.")
    write_run(out, row)


@contextmanager
def _progress(rows: int) -> Iterator[Any]:
    columns = (TextColumn("predict"), BarColumn(), MofNCompleteColumn(), TaskProgressColumn(show_speed=True))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task("predict", total=rows)
        yield lambda count: bar.advance(task, count)
