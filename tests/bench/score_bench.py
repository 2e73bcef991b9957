"""Score made-up answers to a made-up MMAFFBen of the published sizes (95,342 rows), both modes, 1,000 resamples.

python -m tests.bench.score_bench          # prints the seconds of each mode
"""

import random
import sys
import time

from eval.score.bootstrap import RESAMPLES
from eval.score.score import score
from mmafflm.benchmark.benchmark import Subset, Task, benchmark
from mmafflm.benchmark.grammar import Gold, Labels, Number, Ordinal, Vad
from mmafflm.records import Prediction, Record

LIMIT_S = 10.0
SIZES = {"MELD": 9, "SAMSEMO": 40, "CHSIMS": 8, "EMOTIC": 2, "semeval2018": 2}  # rows of a dialogue, film, ...


def _gold(task: Task, rng: random.Random) -> Gold:
    """A random gold that the task's grammar admits."""
    grammar = task.grammar
    if isinstance(grammar, Labels):
        most = min(grammar.most, 4)
        return grammar.sort(rng.sample(grammar.names, rng.randint(1, most)))
    if isinstance(grammar, Ordinal):
        return rng.choice([number for number, _ in grammar.classes])
    if isinstance(grammar, Vad):
        return {name: round(rng.uniform(grammar.low, grammar.high), 3) for name in grammar.dimensions}
    assert isinstance(grammar, Number)
    return round(rng.uniform(grammar.low, grammar.high), grammar.decimals or 15)


def made_up(subset: Subset, rng: random.Random) -> tuple[list[Record], list[Prediction]]:
    """Records of the published sizes and answers to them: half right, a hundredth without an answer."""
    records, predictions = [], []
    for task in subset.tasks:
        emotions = [emotion for emotion, rows in task.emotion_rows for _ in range(rows)]
        for row in range(task.test_rows):
            gold = _gold(task, rng)
            emotion = (emotions[row] if emotions else rng.choice(task.emotions)) if task.emotions else None
            language = subset.languages[row * len(subset.languages) // task.test_rows] if subset.languages else "en"
            text = task.answer(gold if rng.random() < 0.5 else _gold(task, rng), emotion)
            name = f"{subset.name}/{task.key}/{row}"
            messages = [{"role": "user", "content": "?"}, {"role": "assistant", "content": task.answer(gold, emotion)}]
            at = (name, subset.name, task.kind, "test", language, subset.modality, name)
            size = SIZES.get(subset.name.partition("_")[0])
            group = f"group:{row % (task.test_rows // size)}" if size else None
            records.append(Record(*at, messages, [], [], gold, emotion=emotion, group=group))
            predictions.append(Prediction(name, "I cannot tell" if rng.random() < 0.01 else text))
    return records, predictions


def main() -> int:
    """Print the seconds; returns 1 when both modes together take longer than the limit."""
    made = {name: made_up(subset, random.Random(name)) for name, subset in benchmark().items()}
    records = {name: rows for name, (rows, _) in made.items()}
    predictions = {name: answers for name, (_, answers) in made.items()}
    total = 0.0
    for mode in ("strict", "paper"):
        start, of_cpu = time.perf_counter(), time.process_time()
        scores = score(records, predictions, mode)
        seconds, of_cpu = time.perf_counter() - start, time.process_time() - of_cpu
        total += seconds
        rows = sum(one["n"] for one in scores["subsets"].values())
        print(f"score {mode}: {rows} rows, {RESAMPLES} resamples: {seconds:.1f} s, {of_cpu:.1f} s of CPU")
    print(f"score both modes: {total:.1f} s (limit {LIMIT_S:.0f} s)")
    return int(total > LIMIT_S)


if __name__ == "__main__":
    sys.exit(main())
