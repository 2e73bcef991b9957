"""A question as vLLM's prompt: the token ids up to the beginning of the answer, and the media.

Qwen2.5-VL and Qwen2-VL are asked with the marks of their family, as the fast path of the engine hf asks them. Every
other model is asked with its own chat template; vLLM applies the model's own processor to the media.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jinja2 import TemplateError
from PIL import Image

from eval.engines import Question
from eval.engines.content import entries
from eval.engines.media import Frames, MediaReader
from mmafflm.errors import Fault
from mmafflm.families.base import Family

SIDE = 56  # pixels of a grey picture
WORDS = "Answer with one word."


class FamilyPrompts:
    """Prompts of a family with marks: one pad token for each picture or clip, which vLLM repeats for its grid.

    end: the token that ends an answer.
    """

    def __init__(self, tokenizer: Any, family: Family, shown: MediaReader) -> None:
        self.tokenizer, self.media, self.shown = tokenizer, family.media, shown
        self.end = tokenizer.convert_tokens_to_ids(family.conversation.end_of_turn)

    def __call__(self, question: Question) -> dict[str, Any]:
        """A question as a user's turn, up to the beginning of the answer, and its media."""
        text = question.prompt.replace("<image>", self.media.image.around(1), len(question.images))
        text = text.replace("<video>", self.media.video.around(1), len(question.videos))
        text = self.tokenizer.apply_chat_template(_turn(text), tokenize=False, add_generation_prompt=True)
        films = [clip_array(clip) for clip in self.shown.clips(question)]
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return _prompt(ids, {"image": self.shown.images(question), "video": films})


class ChatPrompts:
    """Prompts by a model's own chat template, with the media as entries of the message. end: ends an answer.

    reader: the model's processor, or its tokenizer when it takes text only. ends: the end tokens of the model's
    generation config. template: in place of the model's own.
    """

    def __init__(self, name: str, reader: Any, shown: MediaReader, ends: int | list[int] | None, template: str | None):
        self.name, self.reader, self.shown, self.template = name, reader, shown, template
        self.tokenizer = getattr(reader, "tokenizer", reader)
        ends, own = [ends] if isinstance(ends, int) else ends or [], self.tokenizer.eos_token_id
        self.end: int = own if own in ends or not ends else ends[0]

    def __call__(self, question: Question) -> dict[str, Any]:
        """A question as a user's turn, up to the beginning of the answer, and its media. Raises Fault as `ids` does."""
        counts = [self.shown.size_of_clip(video).frames for video in question.videos]
        # without the frame that is repeated to fill a step: the model's own processor adds one where the model needs it
        films = [
            clip_array(clip._replace(pictures=clip.pictures[:count]))
            for clip, count in zip(self.shown.clips(question), counts, strict=True)
        ]
        return _prompt(self.ids(question), {"image": self.shown.images(question), "video": films})

    def trial(self, kind: str) -> dict[str, Any]:
        """A short prompt about a grey picture, or a clip of grey frames, or without media for the kind "text"."""
        grey = Image.new("RGB", (SIDE, SIDE), "grey")
        media = {"image": [grey], "video": [clip_array(Frames([grey] * 4, 2.0))]}.get(kind, [])
        named = {f"{kind}s": (kind,) for _ in media}
        words = f"<{kind}>{WORDS}" if media else WORDS
        return _prompt(self.ids(Question(words, **named)), {kind: media})

    def ids(self, question: Question) -> list[int]:
        """The token ids of a question. Raises Fault for a model without a chat template, or whose template fails."""
        sees = self.reader is not self.tokenizer
        turn = _turn(entries(question) if sees else question.prompt)  # templates of text models expect a text
        given = {} if self.template is None else {"chat_template": self.template}
        try:
            text = self.reader.apply_chat_template(turn, tokenize=False, add_generation_prompt=True, **given)
        except (TemplateError, ValueError) as error:
            why = " ".join(str(error).split())[:300].rstrip(".")
            raise Fault(
                f"{self.name}: its chat template cannot write the question ({why}). "
                "Give another one: --option chat_template=FILE."
            ) from None
        # as transformers does: a processor's tokenizer adds the first token when the template has not
        bos = self.tokenizer.bos_token
        own = sees and not (bos and text.startswith(bos))
        ids: list[int] = self.tokenizer(text, add_special_tokens=own)["input_ids"]
        return ids


def clip_array(clip: Frames) -> tuple[Any, dict[str, Any]]:
    """A clip as vLLM takes it: an array (frames, height, width, 3), and the times of its frames."""
    frames = np.stack([np.asarray(picture) for picture in clip.pictures])
    taken = {"total_num_frames": len(frames), "frames_indices": list(range(len(frames))), "do_sample_frames": False}
    return frames, taken | {"fps": clip.fps, "duration": len(frames) / clip.fps}


def _turn(content: str | list[dict[str, str]]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content}]


def _prompt(ids: list[int], media: Mapping[str, list[Any]]) -> dict[str, Any]:
    return {"prompt_token_ids": ids, "multi_modal_data": {name: items for name, items in media.items() if items}}
