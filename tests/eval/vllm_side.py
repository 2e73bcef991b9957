"""Run by VLLM_PYTHON: what the engine vllm sees, says and weighs of some questions, as JSON on standard output.

    python -m tests.eval.vllm_side CKPT ROOT QUESTIONS

QUESTIONS holds {"questions": [[prompt, images, clips], ...], "candidates": [...], "most_tokens": ...}.
"""

import json
import sys
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from eval.engines import Question
from eval.engines.vllm import VllmEngine
from tests.budget import BUDGET


def asked(row: dict[str, Any]) -> list[Question]:
    """The questions of the file."""
    return [Question(prompt, tuple(images), tuple(map(tuple, clips))) for prompt, images, clips in row["questions"]]


def seen(engine: VllmEngine, questions: list[Question]) -> list[list[int]]:
    """Each prompt's token ids as vLLM ran them, those of pictures and clips included."""
    sampling = engine.sampling(max_tokens=1)
    steps = engine.run(deque(range(len(questions))), lambda at: (engine.ready(engine.prompt(questions[at])), sampling))
    return in_order([(at, list(output.prompt_token_ids)) for at, output in step] for step in steps)


def in_order(steps: Iterable[list[tuple[int, Any]]]) -> list[Any]:
    """What came, in the order of the questions."""
    found = dict(one for step in steps for one in step)
    return [found[at] for at in sorted(found)]


def crowded(engine: VllmEngine, ckpt: str, questions: list[Question], candidates: list[str]) -> dict[str, Any]:
    """Log-likelihoods with room, and with a cache for three prompts, out of which vLLM drops those that it has read.

    Between two messages vLLM takes a step, so some that ask for nothing let what is held grow until it has no room.
    again: how often a prompt was read again for that.
    """
    texts = [one for one in questions if not one.images + one.videos]
    many = [Question(f"{one.prompt} {number} {one.prompt}") for number in range(10) for one in texts]
    ways = [in_order(engine.likelihoods(many, range(len(many)), candidates, 8))]
    cramped = VllmEngine(ckpt, BUDGET, options={"kv_cache_memory_bytes": "700000", "max_model_len": "512"})
    cramped.load()
    cramped.trees = True
    weigh = cramped.llm.collective_rpc

    def late(*call: Any, **given: Any) -> Any:
        for _ in range(40):
            weigh("weigh_tree", args=([], [[1]], engine.end))
        return weigh(*call, **given)

    cramped.llm.collective_rpc = late
    ways.append(in_order(cramped.likelihoods(many, range(len(many)), candidates, 8)))
    return {"likelihoods": ways, "again": int(next(cramped.names)) - len(many)}


def main(ckpt: str, root: str, file: str) -> dict[str, Any]:
    """Token ids, answers, seconds, and log-likelihoods four times: the second time all prompts are in the cache, in
    the third trees of answers come out wrong, in the fourth vLLM's worker fails. trees: whether they were used.
    """
    row = json.loads(Path(file).read_text(encoding="utf-8"))
    questions, everything = asked(row), range(len(row["questions"]))
    engine = VllmEngine(ckpt, BUDGET, root=Path(root))
    clock = [time.perf_counter()]
    engine.load()
    clock.append(time.perf_counter())
    answers = in_order(engine.answer(questions, everything, row["most_tokens"], 8))
    clock.append(time.perf_counter())
    logs = [in_order(engine.likelihoods(questions, everything, row["candidates"], 8)) for _ in range(2)]
    trees = [engine.trees]
    crowd = crowded(engine, ckpt, questions, row["candidates"])
    weigh = engine.llm.collective_rpc

    def wrongly(*call: Any, **given: Any) -> Any:
        return [{name: [one + 0.5 for one in logs] for name, logs in found.items()} for found in weigh(*call, **given)]

    for broken in (wrongly, lambda *call, **given: weigh("not_there", **given)):
        engine.llm.collective_rpc, engine.trees = broken, None
        logs.append(in_order(engine.likelihoods(questions, everything, row["candidates"], 8)))
        trees.append(engine.trees)
    load_s, answer_s = clock[1] - clock[0], clock[2] - clock[1]
    return {
        "tokens": seen(engine, questions),
        "answers": answers,
        "likelihoods": logs,
        "trees": trees,
        "crowd": crowd,
        "load_s": load_s,
        "answer_s": answer_s,
    }


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
