"""Made-up records and answers for the tests of diagnosis and comparison."""

import json
import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from eval.score.answered import Answered, by_task
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.benchmark.grammar import Gold, Labels, Ordinal, Vad
from mmafflm.dataset import Dataset
from mmafflm.records import Record, write_jsonl, write_text


def record(subset: str, number: int, gold: Gold, key: str = "", language: str = "en", emotion: str | None = None,
           text: str = "what a day") -> Record:  # fmt: skip
    task = benchmark()[subset].task(key) if key else benchmark()[subset].tasks[0]
    messages = [
        {"role": "user", "content": task.ask(text, emotion or "")},
        {"role": "assistant", "content": task.answer(gold, emotion)},
    ]
    name = f"{subset}/{task.key}/{language}/{emotion}/{number:05d}"
    return Record(name, subset, task.kind, "test", language, task.modality, "f:1", messages, [], [], gold,
                  emotion=emotion)  # fmt: skip


def drawn_gold(subset: str, key: str, draw: random.Random) -> Gold:
    """Gold as in real corpora: numbers over the whole scale, labels of unequal frequency."""
    grammar = (benchmark()[subset].task(key) if key else benchmark()[subset].tasks[0]).grammar
    match grammar:
        case Labels():
            return [draw.choices(grammar.names, [1 / (1 + at) for at in range(len(grammar.names))])[0]]
        case Ordinal():
            return draw.choice(grammar.classes)[0]
        case Vad():
            return {name: round(draw.uniform(grammar.low, grammar.high), 1) for name in grammar.dimensions}
        case number:
            return round(draw.uniform(number.low, number.high), 1)


def records(subset: str, rows: int, key: str = "", languages: Sequence[str] = ("en",), text: str = "what a day",
            seed: int = 3) -> list[Record]:  # fmt: skip
    draw = random.Random(f"{subset} {key} {seed}")
    task = benchmark()[subset].task(key) if key else benchmark()[subset].tasks[0]
    return [
        record(subset, number, drawn_gold(subset, key, draw), key, language, emotion, text)
        for language in languages
        for emotion in task.emotions or (None,)
        for number in range(rows)
    ]


def answered(rows: Sequence[Record], answer: Callable[[Record], str]) -> list[Answered]:
    return by_task(rows[0].subset, rows, [answer(one) for one in rows], "strict")


def noisy(share: float, seed: int = 5) -> Callable[[Record], str]:
    """An honest, fallible model: the gold answer, but in a share of the rows another answer drawn like gold."""
    draw = random.Random(seed)

    def answer(one: Record) -> str:
        if draw.random() >= share:
            return one.answer
        task = benchmark()[one.subset].task(one.task)
        return task.answer(drawn_gold(one.subset, task.key, draw), one.emotion)

    return answer


def write_run(
    path: Path, data: Dataset, subsets: Iterable[str], answer: Callable[[Record], str], **more: object
) -> Path:
    """Write a run over all test records of the subsets; `more` is added to run.json."""
    for name in subsets:
        rows = ({"id": one.id, "prediction": answer(one)} for one in data.records(name, "test"))
        write_jsonl(path / "predictions" / f"{name}.jsonl", rows)
    described = {
        "schema": 1, "checkpoint": "ckpt", "engine": "hf", "readout": "greedy", "data": str(data.path),
        "data_hash": data.hash, "limit": None, "ablation": "none", "subsets": {name: {} for name in subsets},
    }  # fmt: skip
    write_text(path / "run.json", json.dumps(described | more))
    return path
