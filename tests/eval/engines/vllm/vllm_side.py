"""Run by VLLM_PYTHON: the inputs, answers and likelihoods of the engine vllm, as JSON on standard output.

    python -m tests.eval.engines.vllm.vllm_side CKPT ROOT ASKED

ASKED is a file with {"questions": [[prompt, images, clips], ...], "candidates": [...], "most_tokens": ...,
"runs": {OUT: arguments of predict, ...}, "families": [[CKPT, OUT, [SUBSET, ...], LIMIT], ...]}.
"""

import json
import sys
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from eval.ask.predict import predict
from eval.engines import Question
from eval.engines.vllm.engine import VllmEngine
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault
from tests.budget import BUDGET
from tests.paths import ROOT

# vLLM in the process that asks for it: otherwise it starts two more, and each imports vLLM again
ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT), "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
OPTIONS = {"kv_cache_memory_bytes": str(1 << 27)}  # for several models in one process


class OneStart(VllmEngine):
    """Starts vLLM once, also for several runs of predict."""

    def load(self) -> None:
        if not hasattr(self, "llm"):
            super().load()


def asked(row: dict[str, Any]) -> list[Question]:
    """The questions of the file."""
    return [Question(prompt, tuple(images), tuple(map(tuple, clips))) for prompt, images, clips in row["questions"]]


def seen(engine: VllmEngine, questions: list[Question]) -> list[list[int]]:
    """Each prompt's token ids as vLLM ran them, including those of pictures and clips."""
    sampling = engine.sampling(max_tokens=1)
    steps = engine.run(deque(range(len(questions))), lambda at: (engine.ready(engine.prompt(questions[at])), sampling))
    return in_order([(at, list(output.prompt_token_ids)) for at, output in step] for step in steps)


def in_order(steps: Iterable[list[tuple[int, Any]]]) -> list[Any]:
    """The results in the order of the questions."""
    found = dict(one for step in steps for one in step)
    return [found[at] for at in sorted(found)]


def fault_of(data: Dataset, ckpt: str, out: str, subsets: list[str], limit: int) -> str | None:
    """Ask another model; returns the message of the run's Fault."""
    try:
        predict(ckpt, data, Path(out), subsets, limit, engine="vllm", options=OPTIONS)
    except Fault as fault:
        return str(fault)
    return None


def main(ckpt: str, root: str, file: str) -> dict[str, Any]:
    """Token ids, answers, seconds, log-likelihoods, and the other families' faults.

    The log-likelihoods are computed twice: the second time all prompts are in the cache.
    """
    data = Dataset.open(Path(root))
    row = json.loads(Path(file).read_text(encoding="utf-8"))
    questions, everything = asked(row), range(len(row["questions"]))
    engine = OneStart(ckpt, BUDGET, root=Path(root))
    clock = [time.perf_counter()]
    engine.load()
    clock.append(time.perf_counter())
    answers = in_order(engine.answer(questions, everything, row["most_tokens"], 8))
    clock.append(time.perf_counter())
    logs = [in_order(engine.likelihoods(questions, everything, row["candidates"], 8)) for _ in range(2)]
    for out, given in row["runs"].items():
        predict(ckpt, data, Path(out), engine=engine, **given)
    tokens = seen(engine, questions)
    del engine
    faults = [fault_of(data, *one) for one in row["families"]]
    load_s, answer_s = clock[1] - clock[0], clock[2] - clock[1]
    return {
        "tokens": tokens,
        "answers": answers,
        "likelihoods": logs,
        "load_s": load_s,
        "answer_s": answer_s,
        "faults": faults,
    }


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
