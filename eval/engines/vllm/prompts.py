"""A question as vLLM's prompt: the token ids up to the beginning of the answer, and the media.

Qwen2.5-VL and Qwen2-VL get prompts with the media marks of their family, as in the fast path of the engine hf. For
other models, and with `--option chat_template=FILE`, a chat template writes the prompts: that of the option, else
LLaMA-Factory's for families that train with it, else the model's own. vLLM applies the model's own processor to the
media.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jinja2 import TemplateError

from eval.engines import Question
from eval.engines.content import entries
from eval.engines.media import Frames, MediaReader
from mmafflm.errors import Fault
from mmafflm.families.base import CHATML_END, Family


class FamilyPrompts:
    """Prompts of a family with media marks.

    Each picture or clip has one pad token, which vLLM repeats for every cell of the medium's grid.
    """

    def __init__(self, tokenizer: Any, family: Family, shown: MediaReader) -> None:
        self.tokenizer, self.media, self.shown = tokenizer, family.media, shown
        self.end: int = tokenizer.convert_tokens_to_ids(family.conversation.end_of_turn)
        self.ends, self.template = {self.end}, tokenizer.chat_template

    def __call__(self, question: Question) -> dict[str, Any]:
        """The user's turn up to the beginning of the answer, as token ids, and the question's media."""
        text = question.prompt.replace("<image>", self.media.image.around(1), len(question.images))
        text = text.replace("<video>", self.media.video.around(1), len(question.videos))
        text = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
        )
        films = [clip_array(clip) for clip in self.shown.clips(question)]
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return _prompt(ids, {"image": self.shown.images(question), "video": films})


class ChatPrompts:
    """Prompts that a chat template writes, as in the generic path of the engine hf.

    ends: the tokens that end an answer. end: the end token that the template writes after an answer.
    """

    def __init__(self, name: str, reader: Any, ends: set[int], template: str | None, shown: MediaReader) -> None:
        """reader: the model's processor, or the tokenizer of a text model. template: replaces the model's own.

        Raises Fault when neither `template` nor the model's files contain a template, or it cannot write a question.
        """
        self.name, self.reader, self.shown = name, reader, shown
        self.tokenizer = getattr(reader, "tokenizer", reader)
        self.sees = self.reader is not self.tokenizer
        self.template: str | None = template or reader.chat_template or self.tokenizer.chat_template
        if self.template is None:
            raise Fault(f"{name}: has no chat template. Name a file with one: --option chat_template=FILE.")
        stop = self.tokenizer.get_vocab().get(CHATML_END, self.tokenizer.eos_token_id)
        self.ends = ends | ({stop} if stop is not None else set())
        self.end = self._end_of_turn()

    def __call__(self, question: Question) -> dict[str, Any]:
        """The user's turn up to the beginning of the answer, as token ids, and the question's media.

        Raises Fault when the template cannot write the question.
        """
        turn = {"role": "user", "content": entries(question) if self.sees else question.prompt}
        text = self._written([turn], add_generation_prompt=True)
        bos = self.tokenizer.bos_token  # as in transformers, the tokenizer adds it if the template did not write it
        ids = self.tokenizer(text, add_special_tokens=not (bos and text.startswith(bos)))["input_ids"]
        counts = [self.shown.size_of_clip(video).frames for video in question.videos]
        # without the last frame's copy that fills up a step: the model's own processor adds one if the model needs it
        films = [
            clip_array(clip._replace(pictures=clip.pictures[:count]))
            for clip, count in zip(self.shown.clips(question), counts, strict=True)
        ]
        return _prompt(ids, {"image": self.shown.images(question), "video": films})

    def _end_of_turn(self) -> int:
        """The first end token that the template writes after an answer; the tokenizer's own if it writes none."""
        said = [[{"type": "text", "text": text}] if self.sees else text for text in ("?", "@@")]
        turns = [{"role": role, "content": one} for role, one in zip(("user", "assistant"), said, strict=True)]
        behind = self._written(turns).rpartition("@@")[2]
        found = [token for token in self.tokenizer(behind, add_special_tokens=False)["input_ids"] if token in self.ends]
        return int(found[0] if found else self.tokenizer.eos_token_id)

    def _written(self, turns: list[dict[str, Any]], **given: bool) -> str:
        try:
            text: str = self.reader.apply_chat_template(turns, chat_template=self.template, tokenize=False, **given)
        except (TemplateError, ValueError) as error:
            why = " ".join(str(error).split())[:300].rstrip(".")
            raise Fault(
                f"{self.name}: its chat template cannot write the question ({why}). "
                "Use another template: --option chat_template=FILE."
            ) from None
        return text


def clip_array(clip: Frames) -> tuple[Any, dict[str, Any]]:
    """A clip in vLLM's form: an array (frames, height, width, 3), and metadata with the times of the frames."""
    frames = np.stack([np.asarray(picture) for picture in clip.pictures])
    taken = {"total_num_frames": len(frames), "frames_indices": list(range(len(frames))), "do_sample_frames": False}
    return frames, taken | {"fps": clip.fps, "duration": len(frames) / clip.fps}


def _prompt(ids: list[int], media: Mapping[str, list[Any]]) -> dict[str, Any]:
    return {"prompt_token_ids": ids, "multi_modal_data": {name: items for name, items in media.items() if items}}
