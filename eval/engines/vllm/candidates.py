"""Likelihoods with vLLM: every candidate answer is one request. docs/reference/evaluation.md has the cost.

vLLM caches the tokens that it has computed, in blocks. So a prompt that is sent with one candidate after the other is
computed once, up to its last whole block. A request contains the prompt and the answer. vLLM returns the probabilities
of the answer's tokens (prompt_logprobs) and that of the end token after them.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

from eval.engines import Likelihoods, Question
from eval.engines.vllm.requests import Asks, Request

Tokens = tuple[int, ...]


class CandidateRequest(NamedTuple):
    """A request for the probability of each token of `after`, if it follows question `at` and `answer`.

    within: whether the probabilities of the answer's own tokens are requested too.
    """

    at: int
    answer: Tokens
    after: Tokens
    within: bool


def by_candidate(
    engine: Asks, questions: Sequence[Question], wanted: Sequence[int], candidates: Sequence[Sequence[int]]
) -> Iterator[Likelihoods]:
    """ln P(candidate, end of turn | questions[i]) for i in `wanted`, as they arrive. candidates: token ids."""
    answers = [(*tokens, engine.end) for tokens in candidates]
    steps = [[answer[: size + 1] for size in range(len(answer))] for answer in answers]
    asked = deque(CandidateRequest(at, answer[:-1], answer[-1:], True) for at in wanted for answer in answers)
    left = dict.fromkeys(wanted, len(answers))
    found: dict[int, dict[Tokens, float]] = {at: {} for at in wanted}
    for outputs in engine.run(asked, _weighed(engine, questions)):
        for one, output in outputs:
            found[one.at] |= _logs(output, one)
            left[one.at] -= 1
        told = []
        for at in dict.fromkeys(one.at for one, _ in outputs if not left[one.at]):
            # if the first tokens of an answer were in the cache, vLLM may not have returned their probabilities
            again = _missing(at, steps, found[at])
            asked.extendleft(again)
            left[at] = len(again)
            if not again:
                logs = found.pop(at)
                told.append((at, [math.fsum(logs[step] for step in whole) for whole in steps]))
        yield told


def _weighed(engine: Asks, questions: Sequence[Question]) -> Callable[[CandidateRequest], Request]:
    """A function that turns a CandidateRequest into vLLM's request.

    The candidates of a question follow each other, so its media are opened once. They are processed twice, because vLLM
    sends media that it has already processed without their pixels.
    """
    prompt = lru_cache(maxsize=1)(lambda at: engine.prompt(questions[at]))
    ready = lru_cache(maxsize=1)(lambda at, again: engine.ready(prompt(at)))
    seen = set[int]()

    # skip_clone: vLLM would deep-copy them for each request, but changes only what all requests may share
    @cache
    def sampling(after: Tokens, within: bool) -> Any:
        asked: dict[str, Any] = {"logprob_token_ids": list(after), "flat_logprobs": True, "skip_clone": True}
        if within:
            asked |= {"prompt_logprobs": 0, "skip_reading_prefix_cache": False}
        return engine.sampling(max_tokens=1, **asked)

    def request(one: CandidateRequest) -> Request:
        given = ready(one.at, one.at in seen)
        seen.add(one.at)
        ids = [*given["prompt_token_ids"], *one.answer]
        return given | {"prompt_token_ids": ids}, sampling(one.after, one.within)

    return request


def _logs(output: Any, asked: CandidateRequest) -> dict[Tokens, float]:
    """{the answer up to and including a requested token: ln P of this token}.

    vLLM computes a token's probability from the token before it. It does not compute tokens that it finds in its cache,
    and the numbers that it returns for them are arbitrary memory: these are left out.
    """
    behind = output.outputs[0].logprobs[0]
    found = {(*asked.answer, token): behind[token].logprob for token in asked.after}
    if asked.within:
        before = len(output.prompt_token_ids) - len(asked.answer)
        cached = max(0, (output.num_cached_tokens or 0) - (before - 1))  # tokens at the answer's beginning
        computed = range(cached, len(asked.answer))
        logs = output.prompt_logprobs[len(output.prompt_logprobs) - len(computed) :]
        for at, log in zip(computed, logs, strict=True):
            found[asked.answer[: at + 1]] = log[asked.answer[at]].logprob
    return found


def _missing(at: int, steps: list[list[Tokens]], found: dict[Tokens, float]) -> list[CandidateRequest]:
    """The requests for steps that were not found; one request for all tokens after the same beginning."""
    after: dict[Tokens, list[int]] = {}
    for step in dict.fromkeys(step for whole in steps for step in whole if step not in found):
        after.setdefault(step[:-1], []).append(step[-1])
    return [CandidateRequest(at, beginning, tuple(tokens), False) for beginning, tokens in after.items()]
