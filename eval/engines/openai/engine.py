"""The engine openai: sends the questions to a server with the OpenAI protocol: OpenAI's, vLLM's or LLaMA-Factory's.

The prompts and the media budget are those of the other engines; decoding is greedy (temperature 0). run.json lists the
limits of this engine under `limits`. Key and address come only from OPENAI_API_KEY and OPENAI_BASE_URL.
"""

import os
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from eval.engines import Answers, Engine, Question
from eval.engines.content import needs
from eval.engines.media import MediaReader
from eval.engines.openai.message import Clips, Part, content
from eval.engines.openai.probe import KINDS, Accepted, find_out, parse_kinds
from eval.run.no_answer import no_answer
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.endpoint import Again, Endpoint, FirstRows, Refused, RequestPace, Stopped, endpoint_of_environment
from mmafflm.errors import Fault, UsageFault
from mmafflm.files.documents import first_wrong
from mmafflm.files.storable import storable
from mmafflm.media.budget import Budget
from mmafflm.terminal.command import say

FILTERED = ("content_filter", "content_policy_violation")
TOKENS = ("prompt_tokens", "completion_tokens")
MEDIA = {"image": "pictures", "video": "clips"}
TRIES = 3  # tries of a request that finds out what the model accepts
LIMITS = [
    "The server does not report its weights, precision and sampling defaults (such as a repetition penalty).",
    "Pictures are sent scaled to the budget; the server does not report whether it scales them again.",
    "Only the server has the tokenizer: an answer may have as many tokens as the task's longest has bytes, and 8 more.",
]
CLIPS = {
    "frames": "A clip is sent as its frames, one picture each, in order; their times and a video input are not used.",
    "mp4": "A clip is sent as a lossless mp4 of its frames, at the budget's rate; the server chooses among the frames.",
}


class Options(BaseModel):
    """--option NAME=VALUE of this engine."""

    model_config = ConfigDict(extra="forbid")

    per_minute: float | None = Field(None, gt=0)  # requests
    tries: int = Field(8, ge=1)  # of one request
    timeout_s: float = Field(120, gt=0)
    price: str | None = Field(None, pattern=r"^\d+(\.\d+)?/\d+(\.\d+)?$")  # USD per million tokens, prompt/answer
    clips: Clips = "frames"
    accepts: Annotated[tuple[str, ...], BeforeValidator(parse_kinds)] | None = None  # None: requests find it out


class Reply(NamedTuple):
    """One answer and its cost. If the server rejected the request, `refused` is the reason and `text` a no_answer()."""

    text: str
    spent: dict[str, float]
    refused: Refused | None = None


def make(ckpt: str, dtype: str, root: Path, budget: Budget, options: dict[str, str]) -> Engine:
    """Make the engine, for make_engine; the server chooses the dtype. Raises UsageFault for invalid options."""
    given = {"price": os.environ.get("MMAFFBEN_PRICE")} | options
    try:
        read = Options.model_validate(given)
    except ValidationError as error:
        known = ", ".join(Options.model_fields)
        raise UsageFault(f"--option {first_wrong(error)}. The options of the engine openai are {known}.") from None
    return OpenAiEngine(ckpt, root, budget, read)


class OpenAiEngine:
    """A model at an endpoint; as many threads as the batch size send requests to it."""

    name = "openai"

    def __init__(
        self, model: str, root: Path, budget: Budget, options: Options | None = None, pace: RequestPace | None = None
    ) -> None:
        """Raises UsageFault without a key for OpenAI's own server."""
        self.model, self.options = model, options or Options.model_validate({})
        self.shown = MediaReader(root, budget)
        self.pace = pace or RequestPace(self.options.per_minute)
        self.endpoint = endpoint_of_environment(self.pace, self.options.tries, self.options.timeout_s)
        self.served: list[str] | None = None
        self._accepted = Accepted(self.options.accepts) if self.options.accepts else None
        self._first, self._held = FirstRows(), Answers()
        self._spent: Counter[str] = Counter()
        self._counting = threading.Lock()

    def accepts(self) -> tuple[str, ...]:
        """The option `accepts`, else all modalities, because the protocol does not tell what a model accepts."""
        return self.options.accepts or KINDS

    def try_out(self, questions: Sequence[Question], weighed: bool = False) -> None:
        """Find out, once, whether the server accepts the media of these questions.

        Raises Fault, with the server's answer, when it does not.
        """
        wants = set[str]().union(*map(needs, questions))
        if self._accepted is None and wants - {"text"}:
            few = endpoint_of_environment(self.pace, TRIES, self.options.timeout_s)
            self._accepted = find_out(partial(self._try, few), self.options.clips)
        if self._accepted and (lacking := [MEDIA[kind] for kind in KINDS if kind in wants - set(self._accepted.kinds)]):
            why = self._accepted.said or f"--option accepts={','.join(self._accepted.kinds)}."
            names = ",".join(name for name, subset in benchmark().items() if subset.modality in self._accepted.kinds)
            raise Fault(
                f"{self.model} accepts no {' and '.join(lacking)}: {why} For the other subsets: --subsets {names}"
            )

    def _try(self, endpoint: Endpoint, tried: str | list[Part]) -> None:
        """Send a request and ignore the answer; its cost is counted."""
        spent = endpoint.ask("/chat/completions", self._body(tried, 16), _reply).spent
        with self._counting:
            self._spent.update({"requests": 1} | {name: spent[name] for name in TOKENS if name in spent})

    def load(self) -> None:
        """Check that the server responds and accepts the key; print the limits, and whether the model is not listed."""
        try:
            self.served = self.endpoint.ask("/models", None, _models)
        except Refused:  # not every server lists its models
            self.served = None
        if self.served and self.model not in self.served:
            some = ", ".join(self.served[:5]) + (", ..." if len(self.served) > 5 else "")
            say(f"{self.endpoint.url}: {self.model} is not among the models that the server lists ({some}).")
        for limit in self._limits():
            say(f"openai: {limit}")

    def tokens(self, text: str) -> int:
        """The number of bytes of `text`, because no tokenizer makes more tokens from it."""
        return len(text.encode())

    def describe(self) -> dict[str, object]:
        """The entries for run.json. The checkpoint is the model's name, and the limits are sentences."""
        return {
            "checkpoint": self.model,
            "weights": None,
            "endpoint": self.endpoint.url,
            "served": self.served,
            "accepts": list(self._accepted.kinds if self._accepted else self.accepts()),
            "decoding": {"temperature": 0, "clips": self.options.clips},
            "dtype": None,
            "price_usd_per_million": self.options.price,
            "limits": self._limits(),
        }

    def _limits(self) -> list[str]:
        return [*LIMITS, CLIPS[self.options.clips]]

    def spent(self) -> dict[str, float]:
        """Requests, tokens and cost since the last call."""
        with self._counting:
            taken, self._spent = self._spent, Counter()
            taken["retries"], self.endpoint.retries = self.endpoint.retries, 0
        if self.options.price:
            prompt, answer = map(float, self.options.price.split("/"))
            usd = (taken["prompt_tokens"] * prompt + taken["completion_tokens"] * answer) / 1e6
            return {**taken, "cost_usd": usd}
        return dict(taken)

    def answer(
        self, questions: Sequence[Question], wanted: Sequence[int], most_tokens: int, batch_size: int
    ) -> Iterator[Answers]:
        """Answers as they arrive, batch_size requests at a time. A fault or Ctrl-C is raised after those under way.

        A row that the server rejects gets a no_answer(), once it is clear that the server does not reject all rows.
        Raises Fault, before the first request for an answer, for pictures or clips that the model does not accept.
        """
        self.try_out([questions[position] for position in wanted])
        self.pace.stop.clear()
        self._held = []
        rest, waiting = iter(wanted), dict[Future[Reply], int]()
        stopped: BaseException | None = None
        with self._threads(batch_size) as pool:
            while True:
                for at in islice(rest, 2 * batch_size - len(waiting)):  # not all at once: wait() looks at each
                    waiting[pool.submit(self._ask, questions[at], most_tokens)] = at
                if not waiting:
                    break
                try:
                    done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                except KeyboardInterrupt as stop:  # requests under way are paid for; a second Ctrl-C ends at once
                    if stopped is not None:
                        raise
                    stopped, done = stop, set()
                answers, fault = self._collect(done, waiting)
                if stopped := stopped or fault:
                    self.pace.stop.set()
                    rest, waiting = iter(()), {future: at for future, at in waiting.items() if not future.cancel()}
                if answers:
                    yield answers
        if stopped is not None:
            raise stopped
        if self._held:
            yield self._held

    @contextmanager
    def _threads(self, number: int) -> Iterator[ThreadPoolExecutor]:
        pool = ThreadPoolExecutor(number)
        try:
            yield pool
        finally:
            self.pace.stop.set()
            pool.shutdown(cancel_futures=True)

    def likelihoods(
        self, questions: Sequence[Question], wanted: Sequence[int], candidates: Sequence[str], batch_size: int
    ) -> Iterator[list[tuple[int, list[float]]]]:
        """Always raises UsageFault, because the protocol does not return the likelihood of a given answer."""
        raise UsageFault("--engine openai: the protocol returns no likelihoods of given answers; use --readout greedy")

    def _collect(self, done: set[Future[Reply]], waiting: dict[Future[Reply], int]) -> tuple[Answers, Exception | None]:
        """The answers of finished requests, and the first fault among them."""
        answers: Answers = []
        fault: Exception | None = None
        for future in done:
            position = waiting.pop(future)
            try:
                reply = future.result()
            except Stopped:
                continue
            except Exception as found:  # raised after the other answers are saved
                fault = fault or found
                continue
            with self._counting:
                self._spent.update({"requests": 1, **reply.spent})
            (self._held if reply.refused else answers).append((position, reply.text))
        if self._first.decided:
            answers, self._held = [*self._held, *answers], []
        return answers, fault

    def _ask(self, question: Question, most_tokens: int) -> Reply:
        try:
            reply = self._reply_to(question, most_tokens)
            self._first.note(reply.refused)
        except Exception:
            self.pace.stop.set()  # at once, so that this thread does not send another question
            raise
        return reply

    def _reply_to(self, question: Question, most_tokens: int) -> Reply:
        body = self._body(content(question, self.shown, self.options.clips), most_tokens)
        try:
            return self.endpoint.ask("/chat/completions", body, _reply)
        except Refused as refused:
            if refused.code in FILTERED:
                return Reply("", {"refused": 1})  # the refusal is the model's answer
            if not refused.of_the_request:
                raise
            return Reply(no_answer(storable(str(refused), 500)), {"rejected": 1}, refused)

    def _body(self, said: str | list[Part], most_tokens: int) -> dict[str, Any]:
        turn = {"role": "user", "content": said}
        return {"model": self.model, "messages": [turn], "temperature": 0, "max_tokens": most_tokens}


def _models(row: Any) -> list[str]:
    try:
        return sorted(storable(str(one["id"]), 200) for one in row["data"][:1000])
    except (KeyError, TypeError):
        return []


def _reply(row: Any) -> Reply:
    """The text of the first choice. Raises Again when there is no choice, or an answer without text that was neither
    refused nor cut off."""
    try:
        choice = row["choices"][0]
        text, refusal = _text(choice["message"].get("content")), _text(choice["message"].get("refusal"))
        ended = choice.get("finish_reason")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise Again("an answer without choices", answered=True) from None
    spent = Counter(refused=int(bool(refusal) or ended == "content_filter"), cut_off=int(ended == "length"))
    if text is None and not spent["refused"] and not spent["cut_off"]:  # hidden thoughts may use all tokens
        raise Again("an answer without text", answered=True)
    usage = row["usage"] if isinstance(row.get("usage"), dict) else {}
    counted = {name: usage.get(name) for name in TOKENS}
    if all(type(count) is int and 0 <= count < 1e9 for count in counted.values()):
        spent.update(counted)
    else:
        spent["answers_without_usage"] = 1
    by = f"answers_by {row.get('model')} {row.get('system_fingerprint') or ''}".strip()
    spent[storable(by, 200)] = 1
    return Reply(text or refusal or "", {name: count for name, count in spent.items() if count})


def _text(content: Any) -> str | None:
    """The text of a message's content, which may be a list of parts; None when there is no text."""
    if isinstance(content, list):
        return "".join(str(part["text"]) for part in content if isinstance(part, dict) and "text" in part) or None
    return content if isinstance(content, str) else None
