"""Likelihoods with vLLM at the price of a few tokens more: all candidates of a prompt go through the model at once.

vLLM reads the prompts, as for an answer; what has been read is held and its tree of answers weighed where the model is,
by eval/engines/vllm_worker.py. That reads vLLM's cache, whose order in memory is not the same on every machine. So the
first question is also weighed candidate by candidate, and trees are used where both come to the same.
"""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from eval.engines import Likelihoods, Question
from eval.engines.vllm_candidates import by_candidate
from mmafflm.command import say

if TYPE_CHECKING:
    from eval.engines.vllm import VllmEngine

HELD = 256  # tokens that a held prompt may be answered with; vLLM hears within two or three that it is weighed
AGREE = {"float32": 1e-3}  # nats that both ways may differ in an answer; keys in a wrong order make many more
AGREE_HALF = 2.0  # in 16 bits: 0.6 was seen where all was well (tests.bench.readout_bench, pocket, 30 layers)


def can_weigh_trees(arguments: dict[str, Any]) -> bool:
    """Whether an engine with these arguments has all layers in each of its workers, and none changed by an adapter."""
    whole = arguments.get("pipeline_parallel_size", 1) == 1 and not arguments.get("enable_lora")
    return whole and os.environ.get("VLLM_USE_V2_MODEL_RUNNER") == "0"


def by_tree(
    engine: "VllmEngine", questions: Sequence[Question], wanted: Sequence[int], candidates: Sequence[Sequence[int]]
) -> Iterator[Likelihoods]:
    """ln P(candidate, end of turn | questions[i]) for i in `wanted`, as they come. candidates: their tokens."""
    sampling = engine.sampling(finished=False, max_tokens=HELD, ignore_eos=True, skip_clone=True)
    answers, asked = [list(tokens) for tokens in candidates], deque(wanted)
    for held in engine.hold(asked, lambda at: (engine.ready(engine.prompt(questions[at])), sampling)):
        names = [name for _, name in held]
        logs = engine.llm.collective_rpc("weigh_tree", args=(names, answers, engine.end))[0]
        yield [(at, logs[name]) for at, name in held if name in logs]
        asked.extendleft(at for at, name in held if name not in logs)  # vLLM's cache had no room for it until now


def trees_agree(
    engine: "VllmEngine", questions: Sequence[Question], at: int, candidates: Sequence[Sequence[int]]
) -> bool:
    """Whether questions[at] is weighed alike in both ways; says so where it is not."""
    (alone,) = (logs for step in by_candidate(engine, questions, [at], candidates) for _, logs in step)
    try:
        (together,) = (logs for step in by_tree(engine, questions, [at], candidates) for _, logs in step)
    except Exception as error:  # so vLLM hands on whatever is raised in its workers
        why = f"vLLM cannot weigh them together here ({' '.join(str(error).split())[:200]})"
    else:
        off = max(abs(one - other) for one, other in zip(alone, together, strict=True))
        if off <= AGREE.get(engine.arguments["dtype"], AGREE_HALF):
            return True
        why = f"together they were {off:.2g} nats off: vLLM's cache has an order that vllm_worker.py does not know"
    say(f"Candidate answers are weighed one by one, which takes several times as long; {why}.")
    return False
