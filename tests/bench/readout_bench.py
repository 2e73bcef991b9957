"""A readout against greedy answers: seconds on the same rows, checkpoint and machine, in turn.

    python -m tests.bench.readout_bench [CKPT|nano|pocket [ENGINE [NAME=VALUE ...]]]

For vllm use the Python of .venv-vllm; NAME=VALUE are options of the engine, or dtype.

Greedy takes as many steps as a trained model would: those of the corpus's own answer, plus one for the end. (An
untrained stand-in would write up to the limit, which would flatter the readout.) CHSIMS_SI is asked without its clip.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from eval.ask.ablation import questions
from eval.engines import Engine, make_engine
from eval.score.readout import candidates
from mmafflm.benchmark.benchmark import Task, benchmark
from mmafflm.standin.standin import make_standin
from tests.budget import BUDGET
from tests.eval.tiny_tests import records_of

ROWS = 48  # per turn
TURNS = 2
BATCH = 16  # the command's
# (subset, task, readout, a usual answer)
MEASURED = (
    ("XED", "ec", "choice", "2. sadness"),
    ("semeval2018_english", "e_c", "choice", "1. joy, 8. love"),
    ("CHSIMS_SI", "si", "expectation", "-0.8"),
    ("semeval2018_english", "v_reg", "expectation", "-0.718"),
)


def seconds(engine: Engine, answers: Iterator[Any]) -> float:
    """The time to the last answer, with a cache that has not seen the questions."""
    if engine.name == "vllm":
        engine.llm.reset_prefix_cache()  # type: ignore[attr-defined]
    start = time.perf_counter()
    for _ in answers:
        pass
    return time.perf_counter() - start


def compare(engine: Engine, task: Task, readout: str, usual: str) -> None:
    """Print both times and their ratio."""
    texts = [one.text for one in candidates(task)]
    steps = engine.tokens(usual) + 1
    greedy = weighed = 0.0
    for turn in range(TURNS + 1):
        asked = [one._replace(images=(), videos=()) for one in questions(records_of(task, ROWS, seed=turn))]
        every = range(len(asked))
        once = (
            seconds(engine, engine.answer(asked, every, steps, BATCH)),
            seconds(engine, engine.likelihoods(asked, every, texts, BATCH)),
        )
        if turn:  # the first warms up
            greedy, weighed = greedy + once[0], weighed + once[1]
    rows = ROWS * TURNS
    print(
        f"{engine.name}, {task.subset} {task.key}, {torch.get_num_threads()} threads, {rows} rows: "
        f"greedy ({steps} steps) {rows / greedy:.2f} rows/s, "
        f"{readout} ({len(texts)} candidates) {rows / weighed:.2f} rows/s, "
        f"cost {weighed / greedy:.2f} times greedy",
        flush=True,
    )


def main(ckpt: str = "pocket", name: str = "hf", *given: str) -> None:
    """Measure on an untrained stand-in, in its stored dtype: the weights do not matter here."""
    with tempfile.TemporaryDirectory() as folder:
        if ckpt in ("nano", "pocket"):
            made = Path(folder) / ckpt
            make_standin(ckpt, made)
            ckpt = str(made)
        options = dict(one.split("=", 1) for one in given)
        engine = make_engine(name, ckpt, options.pop("dtype", "auto"), Path(), BUDGET, options)
        engine.load()
        for subset, key, readout, usual in MEASURED:
            compare(engine, benchmark()[subset].task(key), readout, usual)


if __name__ == "__main__":
    main(*sys.argv[1:])
