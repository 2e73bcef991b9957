"""The engine hf's generic path: any model of transformers, with its own processor, chat template and `generate`.

Only the code that uses clip_inputs.py, native.py or mmafflm/families, or has a comment about a family, depends on one.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from inspect import signature
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoProcessor,
    AutoTokenizer,
    GenerationConfig,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
from transformers.utils import logging

from eval.engines import Answers, Likelihoods, Question
from eval.engines.content import IMAGE, TEXT, entries, modality
from eval.engines.hf.clip_inputs import OWN_VIDEO_SIZE, array, as_pictures, told
from eval.engines.hf.loading import end_tokens, facts_of, loaded
from eval.engines.hf.native import QWEN, decord_frames, native_budget
from eval.engines.media import Frames, MediaReader
from eval.run.checkpoint import Checkpoint
from mmafflm.errors import Fault, in_a_line
from mmafflm.families.base import CHATML_END
from mmafflm.families.find import known_family
from mmafflm.families.qwen_clips import native_clip
from mmafflm.media.budget import Budget
from mmafflm.weights import reading


class GenericPath:
    """A checkpoint of any architecture, read by its own processor."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        dtype: str,
        root: Path,
        budget: Budget | None,
        template: str | None = None,
        frames: int | None = None,
        decord: bool = False,
    ) -> None:
        """budget: None for the processor's own limits. template: a chat template instead of the checkpoint's.

        frames: show a clip as at most this many pictures. decord: let decord open clips. Raises Fault when transformers
        cannot load the checkpoint, or when there is no chat template.
        """
        logs: Any = logging
        logs.set_verbosity_error()  # without the warnings that `generate` logs for every batch
        self.name, self.frames = checkpoint.adapter or checkpoint.model, frames
        with reading(checkpoint.model):
            kind = AutoConfig.from_pretrained(checkpoint.model, trust_remote_code=False).model_type
            self.sees = kind in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
            processors: Any = AutoProcessor if self.sees else AutoTokenizer
            self.processor = processors.from_pretrained(checkpoint.model, trust_remote_code=False)
        self.tokenizer: Any = getattr(self.processor, "tokenizer", self.processor)
        family = known_family(kind)
        trained = family.chat_template if family and budget else None
        self.template = template or trained or self._template_beside()
        own = self.template or self.processor.chat_template
        if own is None:
            raise Fault(f"{checkpoint.model}: has no chat template. Name a file with one: --option chat_template=FILE.")
        self.model: Any = loaded(AutoModelForImageTextToText if self.sees else AutoModelForCausalLM, checkpoint, dtype)
        self.kind, self.native = kind, budget is None
        self.step = family.media.frames_a_step if family and budget else 1
        self.as_pictures = family is not None and family.media.frames_as_pictures
        limits = budget or native_budget(self.kind)
        limits = limits.under(family.media) if family and budget else limits
        self.shown = MediaReader(root, limits, decord_frames if decord else None)
        self._set_ends(checkpoint.model)
        self.facts: dict[str, Any] = facts_of(self.model, self.processor, str(own))

    def _template_beside(self) -> str | None:
        """The tokenizer's chat template if the processor has no chat template; else None."""
        own: str | None = self.tokenizer.chat_template
        return None if self.processor.chat_template is not None else own

    def _set_ends(self, where: str) -> None:
        """Find the end tokens, and switch off the checkpoint's sampling defaults."""
        self.tokenizer.padding_side = "left"
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        stop = self.tokenizer.get_vocab().get(CHATML_END, self.tokenizer.eos_token_id)
        self.ends = end_tokens(self.model, where) | ({stop} if stop is not None else set())
        greedy: Any = GenerationConfig
        pad = self.tokenizer.pad_token_id
        self.model.generation_config = greedy(do_sample=False, eos_token_id=sorted(self.ends), pad_token_id=pad)

    def tokens(self, text: str) -> int:
        """The number of tokens of `text`."""
        return len(self._ids(text))

    def try_out(self, questions: Sequence[Question], weighed: bool = False) -> None:
        """Generate one token for each question, and record the sizes of the processor's output in facts["inputs"].

        Raises Fault when transformers fails.
        """
        for question in questions:
            kind = modality(question)
            with self._asking("" if kind == TEXT else f" To leave out its {kind} subsets, list the others: --subsets."):
                made = self.inputs([question])
                self._generate(made, 1)
            shapes = {name: list(part.shape) for name, part in made.items() if name.startswith("pixel_values")}
            frames = {"frames": self._frames(question)} if question.videos else {}
            self.facts["inputs"][kind] = {"tokens": made["input_ids"].shape[1], **frames, **shapes}
            if weighed:  # some models cannot continue from a copy of a prompt's cache
                with self._asking(" Without likelihoods, it can be evaluated with --readout greedy."):
                    self._weigh(made, [self._ids("1")], self.end_of_turn())

    def answer(
        self, questions: Sequence[Question], wanted: Sequence[int], most_tokens: int, batch_size: int
    ) -> Iterator[Answers]:
        """Answers to questions[i] for i in `wanted`, a batch at a time, the longest first."""
        for chosen in self._batches(questions, wanted, batch_size):
            with self._asking():
                rows = self._generate(self.inputs([questions[at] for at in chosen]), most_tokens)
                kept = [[*_before(row, self.ends)] for row in rows]
                texts = self.tokenizer.batch_decode(kept, skip_special_tokens=True)
            yield list(zip(chosen, texts, strict=True))

    def likelihoods(
        self, questions: Sequence[Question], wanted: Sequence[int], candidates: Sequence[str], batch_size: int
    ) -> Iterator[Likelihoods]:
        """ln P(candidate, end of turn | questions[i]) for i in `wanted`, one at a time, the longest first."""
        answers, end = [self._ids(text) for text in candidates], self.end_of_turn()
        for (at,) in self._batches(questions, wanted, 1):
            with self._asking():
                found = self._weigh(self.inputs([questions[at]]), answers, end)
            yield [(at, found)]

    def end_of_turn(self) -> int:
        """The token that ends an answer: the first end token after an answer in the chat template."""
        turns = [{"role": "user", "content": self._content("?")}, {"role": "assistant", "content": self._content("@@")}]
        text = self.processor.apply_chat_template(turns, chat_template=self.template, tokenize=False)
        found = [token for token in self._ids(text.rpartition("@@")[2]) if token in self.ends]
        return int(found[0] if found else self.tokenizer.eos_token_id)

    def inputs(self, questions: Sequence[Question]) -> Any:
        """The model's input for a batch of questions: the processor's output, padded on the left."""
        if not self.sees:
            return self._text_inputs(questions)
        films = [self._clips(question) for question in questions]
        turns = [
            [{"role": "user", "content": self._filled(question, clips)}]
            for question, clips in zip(questions, films, strict=True)
        ]
        given: dict[str, Any] = {"padding": True}
        if self.frames is None and any(films):
            given |= told([clip for clips in films for clip in clips], self.step)
            if self.kind in OWN_VIDEO_SIZE and not self.native:
                given["videos_kwargs"] = {"size": dict(self.processor.video_processor.size)}
            if self.as_pictures:
                given["videos_kwargs"] = as_pictures(self.processor)
        made = self.processor.apply_chat_template(
            turns, chat_template=self.template, add_generation_prompt=True, tokenize=True, return_dict=True,
            return_tensors="pt", processor_kwargs=given,
        )  # fmt: skip
        return made.to(self.model.device)

    def _text_inputs(self, questions: Sequence[Question]) -> Any:
        turns = [[{"role": "user", "content": question.prompt}] for question in questions]
        texts = self.tokenizer.apply_chat_template(
            turns, chat_template=self.template, add_generation_prompt=True, tokenize=False
        )
        begun = self.tokenizer.bos_token is not None and texts[0].startswith(self.tokenizer.bos_token)
        made = self.tokenizer(texts, padding=True, return_tensors="pt", add_special_tokens=not begun)
        return {name: made[name].to(self.model.device) for name in ("input_ids", "attention_mask")}

    def _content(self, text: str) -> Any:
        """A turn without media, as chat templates expect it: a list of entries for a vision model, else the text."""
        return [{"type": "text", "text": text}] if self.sees else text

    def _clips(self, question: Question) -> list[Frames]:
        """The clips, with at most self.frames pictures each, without the copies of a last frame that fill a time step.

        Raises Fault when clips are stored as frames and the processor's own limits are wanted.
        """
        if self.native and not all(isinstance(video, str) for video in question.videos):
            raise Fault(
                f"{self.shown.root}: its clips are stored as frames, at the size of the training budget. For --option "
                "media=native, build with --raw-video."
            )
        clips = []
        for clip, video in zip(self.shown.clips(question), question.videos, strict=True):
            count = self.shown.size_of_clip(video).frames or 1
            pictures = clip.pictures[:count]
            if self.frames is not None and count > self.frames:
                pictures = [pictures[round(at)] for at in np.linspace(0, count - 1, self.frames)]
            clips.append(Frames(pictures, clip.fps))
        return clips

    def _filled(self, question: Question, clips: Sequence[Frames]) -> list[dict[str, Any]]:
        """The content entries of a question with its pictures and clips in them."""
        images, films = iter(self.shown.images(question)), iter(clips)
        filled: list[dict[str, Any]] = []
        for entry in entries(question):
            match entry["type"]:
                case "image":
                    filled.append(entry | {"image": next(images)})
                case "video" if self.frames is None:
                    filled.append(entry | {"video": self._film(next(films))})
                case "video":
                    filled += [{"type": IMAGE, "image": picture} for picture in next(films).pictures]
                case _:
                    filled.append(entry)
        return filled

    def _film(self, clip: Frames) -> Any:
        """A clip as an array: (frames, height, width, 3), or (frames, 3, height, width) from qwen-vl-utils."""
        if self.native and self.kind.startswith(QWEN):
            return native_clip(clip.pictures, clip.fps, self.processor)
        return array(clip, self.step)

    def _frames(self, question: Question) -> list[int]:
        """How many frames of each clip the model gets."""
        counts = [self.shown.size_of_clip(video).frames or 1 for video in question.videos]
        return [min(count, self.frames or count) for count in counts]

    def _batches(self, questions: Sequence[Question], wanted: Sequence[int], batch_size: int) -> Iterator[list[int]]:
        """Batches of positions in `questions`, longest first. Rows of a batch have equally many pictures and frames.

        Some processors stack the clips of a batch and cannot stack clips of different lengths.
        """
        media = {at: (self._frames(questions[at]), len(questions[at].images)) for at in wanted}
        order = sorted(wanted, key=lambda at: (media[at], len(questions[at].prompt.encode()), -at), reverse=True)
        for _, group in groupby(order, key=media.__getitem__):
            while batch := list(islice(group, batch_size)):
                yield batch

    @torch.inference_mode()
    def _generate(self, inputs: Any, most_tokens: int) -> list[list[int]]:
        """The new tokens of each row; those after its end token are padding."""
        made = self.model.generate(**inputs, max_new_tokens=most_tokens)
        rows: list[list[int]] = made[:, inputs["input_ids"].shape[1] :].tolist()
        return rows

    @torch.inference_mode()
    def _weigh(self, inputs: Any, answers: Sequence[Sequence[int]], end: int) -> list[float]:
        """Each answer's log-likelihood after one prompt: one pass per answer, with a copy of the prompt's KV cache."""
        last = {"logits_to_keep": 1} if "logits_to_keep" in signature(self.model.forward).parameters else {}
        begun = self.model(**inputs, use_cache=True, **last)
        found = []
        for answer in answers:
            given = _after(inputs, torch.tensor([answer], device=self.model.device), begun)
            out = self.model(**given, past_key_values=copy.deepcopy(begun.past_key_values), use_cache=True)
            logits = torch.cat([begun.logits[0, -1:], out.logits[0]]).float().log_softmax(-1)
            found.append(float(logits[range(len(answer) + 1), [*answer, end]].sum()))
        return found

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    @contextmanager
    def _asking(self, advice: str = "") -> Iterator[None]:
        """Turn any exception of transformers, which hardly checks its input, into a Fault that ends with `advice`."""
        try:
            yield
        except Fault:
            raise
        except Exception as error:
            raise Fault(f"{self.name}: transformers failed to answer ({in_a_line(error)}).{advice}") from None


def _before(row: Sequence[int], ends: set[int]) -> Iterator[int]:
    """The tokens before the first end token."""
    for token in row:
        if token in ends:
            return
        yield token


def _after(inputs: Any, answer: torch.Tensor, begun: Any) -> dict[str, Any]:
    """The input for an answer, (1, tokens), after a prompt that the model has processed (`begun`: its output)."""
    size, new = inputs["input_ids"].shape[1], answer.shape[1]
    given = {"input_ids": answer, "attention_mask": inputs["attention_mask"].new_ones(1, size + new)}
    if "cross_attention_mask" in inputs:  # Mllama: the pictures that each token attends to
        seen = inputs["cross_attention_mask"]
        given["cross_attention_mask"] = torch.cat([seen, *[seen[:, -1:]] * new], 1)
    delta = getattr(begun, "rope_deltas", None)
    if delta is not None:  # the Qwen family: media take up fewer positions than tokens
        # without media the model still has the deltas of an earlier question
        moved = delta if {"image_grid_thw", "video_grid_thw"} & set(inputs) else torch.zeros_like(delta)
        where = torch.arange(size, size + new, device=answer.device) + moved
        given["position_ids"] = where.expand(3, 1, new)
    return given
