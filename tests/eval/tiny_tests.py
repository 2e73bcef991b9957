"""Write a small DATA folder: the test splits of some text subsets, with the parts that `mmaffben predict` reads."""

import random
from pathlib import Path

from mmafflm.benchmark.benchmark import Task, benchmark
from mmafflm.benchmark.grammar import Gold, Labels
from mmafflm.dataset import Dataset
from mmafflm.records import Record
from tests.data_files import write_data

WORDS = (
    "ich bin so 高兴 и не знаю warum das 物流很快 alegría {x} day!! 😀 the movie was long مرحبا good bad 1,5".split()  # noqa: SIM905
)


def records_of(task: Task, rows: int, seed: int = 7, split: str = "test") -> list[Record]:
    """Made-up records of one task: texts of 1 to 30 words, in the benchmark's prompt."""
    draw = random.Random(f"{task.subset} {task.key} {seed}")
    records = []
    for number in range(rows):
        emotion = draw.choice(task.emotions) if task.emotions else None
        text = " ".join(draw.choices(WORDS, k=draw.randint(1, 30)))
        gold: Gold = [draw.choice(task.grammar.names)] if isinstance(task.grammar, Labels) else 1
        record = Record(
            id=f"{task.subset}/{task.key}/{split}/{number:06d}",
            subset=task.subset,
            task=task.kind,
            split=split,
            language=draw.choice(benchmark()[task.subset].languages or ("en",)),
            modality="text",
            source=f"tiny:{number}",
            messages=[
                {"role": "user", "content": task.ask(text, emotion or "")},
                {"role": "assistant", "content": task.answer(gold, emotion)},
            ],
            images=[],
            videos=[],
            gold=gold,
            emotion=emotion,
        )
        records.append(record)
    return records


def make_tests(path: Path, rows: dict[str, int], seed: int = 7, split: str = "test") -> Dataset:
    """Write DATA with `rows` records for every task of each subset named."""
    by_subset = {
        name: [record for task in benchmark()[name].tasks for record in records_of(task, count, seed, split)]
        for name, count in rows.items()
    }
    return write_data(path, by_subset)
