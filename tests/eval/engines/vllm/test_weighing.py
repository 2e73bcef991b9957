"""How the engine vllm reads prompt_logprobs, with a made-up vLLM: its cache, and tokens that it does not compute."""

import math
from collections import deque
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from eval.engines import Question
from eval.engines.vllm.candidates import CandidateRequest
from eval.engines.vllm.engine import VllmEngine
from eval.engines.vllm.requests import Request

BLOCK = 4
END = 999
GARBAGE = -1e9
CANDIDATES = ["0.1", "0.2", "0.25", "-0.1", "7"]


def logp(before: tuple[int, ...], token: int) -> float:
    """An arbitrary number that depends on all tokens before."""
    return -1 - (hash((before, token)) % 1000) / 1000


class MadeUp(VllmEngine):
    """A made-up vLLM: token ids are code points. It caches whole blocks, and always reads the last token again."""

    def __init__(self, together: int) -> None:
        self.together, self.end = together, END
        self.cache, self.asked, self.opened = set[tuple[int, ...]](), 0, list[str]()

    def ids(self, text: str) -> list[int]:
        return [ord(letter) for letter in text]

    def prompt(self, question: Question) -> dict[str, Any]:
        self.opened.append(question.prompt)
        return {"prompt_token_ids": self.ids(question.prompt)}

    def ready(self, prompt: dict[str, Any]) -> dict[str, Any]:
        return prompt

    def sampling(self, **given: Any) -> Any:
        return SimpleNamespace(**{"prompt_logprobs": None, **given})

    def run(self, asked: deque[Any], request: Callable[[Any], Request]) -> Iterator[list[tuple[CandidateRequest, Any]]]:
        while asked:
            step = [asked.popleft() for _ in range(min(self.together, len(asked)))]
            yield [(one, self.output(request(one))) for one in step]

    def output(self, request: Request) -> Any:
        prompt, sampling = request
        ids = tuple(prompt["prompt_token_ids"])
        self.asked += 1
        whole = [ids[:size] for size in range(BLOCK, len(ids), BLOCK)]
        cached = max([len(one) for one in whole if one in self.cache], default=0)
        self.cache |= set(whole)
        logs: list[Any] = [None]
        for at in range(1, len(ids)):
            value = logp(ids[:at], ids[at]) if at - 1 >= cached else GARBAGE
            logs.append({ids[at]: SimpleNamespace(logprob=value)})
        behind = {token: SimpleNamespace(logprob=logp(ids, token)) for token in (7, *sampling.logprob_token_ids)}
        return SimpleNamespace(
            prompt_token_ids=ids,
            num_cached_tokens=cached,
            prompt_logprobs=None if sampling.prompt_logprobs is None else logs,
            outputs=[SimpleNamespace(logprobs=[behind])],
        )


def expected(prompt: str, text: str) -> float:
    ids = [ord(letter) for letter in prompt + text] + [END]
    return math.fsum(logp(tuple(ids[:at]), ids[at]) for at in range(len(prompt), len(ids)))


@pytest.mark.parametrize("together", [1, 3, 128])
def test_likelihoods_are_whole_whatever_the_cache_held(together: int) -> None:
    """Prompts of all lengths relative to the blocks: they end before, in and after the beginning that answers share."""
    asked = [Question("A question of the same beginning. " + "x" * size) for size in range(2 * BLOCK)]
    wanted = [at for at in range(len(asked)) if at != 3]
    engine = MadeUp(together)
    least = len(wanted) * len(CANDIDATES)
    for again in range(2):  # the second time every whole block is in the cache, also those of the answers
        found = dict(one for step in engine.likelihoods(asked, wanted, CANDIDATES, 1) for one in step)
        assert sorted(found) == wanted
        for at, logs in found.items():
            assert logs == pytest.approx([expected(asked[at].prompt, text) for text in CANDIDATES], abs=1e-9)
        if not again:
            assert least < engine.asked < least + len(wanted), "what answers share, the first of them has told"
    assert engine.asked > 2 * least + len(wanted)
