"""The engine hf: transformers on this machine, with greedy decoding. torch is imported in `load`, after all checks that
do not need it.

A family that defines its positions (Qwen2.5-VL, Qwen2-VL) uses the fast path, every other model the generic path.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eval.engines import Answers, Engine, Likelihoods, Question
from eval.engines.content import IMAGE, VIDEO, accepted_by
from eval.engines.model_facts import family_that_writes, find_settings, marked_family, template_name
from eval.run.checkpoint import find_checkpoint
from mmafflm.errors import Fault, UsageFault
from mmafflm.files.documents import first_wrong
from mmafflm.media.budget import Budget

if TYPE_CHECKING:
    from eval.engines.hf.fast import FastPath
    from eval.engines.hf.generic import GenericPath

DTYPES = ("auto", "float32", "bfloat16", "float16")
DEFAULT_FRAMES = 8  # frames of a clip shown as pictures: for LLaVA-1.5, 120 frames are 69,000 tokens


class HfOptions(BaseModel):
    """--option NAME=VALUE of this engine."""

    model_config = ConfigDict(extra="forbid")

    chat_template: Path | None = None  # a Jinja file, for a checkpoint without one
    clips: Literal["video", "frames"] = "video"  # frames: as pictures, for models without an input for video
    media: Literal["budget", "native"] = "budget"  # native: the limits of the model's own processor
    max_frames: int = Field(DEFAULT_FRAMES, ge=1)  # of a clip shown as pictures
    reader: Literal["pyav", "decord"] = "pyav"  # decodes clips with media=native; see eval/engines/hf/native.py


def make(ckpt: str, dtype: str, root: Path, budget: Budget, options: dict[str, str]) -> Engine:
    """Make the engine, for make_engine. Raises UsageFault for invalid options."""
    try:
        read = HfOptions.model_validate(options)
    except ValidationError as error:
        known = ", ".join(HfOptions.model_fields)
        raise UsageFault(f"--option {first_wrong(error)}. The options of the engine hf are {known}.") from None
    if "max_frames" in options and read.clips != "frames":
        raise UsageFault("--option max_frames needs --option clips=frames")
    if "reader" in options and read.media != "native":
        raise UsageFault("--option reader needs --option media=native")
    return HfEngine(ckpt, budget, dtype, root, read)


class HfEngine:
    """A checkpoint that transformers can load, see eval/run/checkpoint.py."""

    name = "hf"

    def __init__(
        self, ckpt: str, budget: Budget, dtype: str = "auto", root: Path = Path(), options: HfOptions | None = None
    ) -> None:
        """root: the folder that contains the questions' media.

        Raises UsageFault for an unknown dtype or an unreadable chat template, Fault for an incomplete checkpoint.
        """
        if dtype not in DTYPES:
            raise UsageFault(f"dtype {dtype}: not one of {', '.join(DTYPES)}")
        self.options = options or HfOptions.model_validate({})
        self.template = _read(self.options.chat_template)
        self.checkpoint = find_checkpoint(ckpt)
        self.dtype, self.root, self.budget = dtype, root, budget
        self.path: FastPath | GenericPath | None = None

    def accepts(self) -> tuple[str, ...]:
        """The modalities that the model accepts; includes "video" if clips are shown as pictures.

        They are read from the model's files, which are downloaded if they are not here.
        """
        find_settings(self.checkpoint.model)
        found = accepted_by(self.checkpoint.model)
        as_pictures = self.options.clips == "frames" and IMAGE in found and VIDEO not in found
        return (*found, VIDEO) if as_pictures else found

    def load(self) -> None:
        """Read tokenizer and weights. Raises Fault when transformers cannot read them or the weights do not fit."""
        if self.path is not None:
            return
        if self._is_fast():
            from eval.engines.hf.fast import FastPath

            self.path = FastPath(self.checkpoint, self.dtype, self.root, self.budget)
            return
        from eval.engines.hf.generic import GenericPath

        frames = self.options.max_frames if self.options.clips == "frames" else None
        budget = self.budget if self.options.media == "budget" else None
        decord = self.options.reader == "decord"
        self.path = GenericPath(self.checkpoint, self.dtype, self.root, budget, self.template, frames, decord)

    def try_out(self, questions: Sequence[Question], weighed: bool = False) -> None:
        """Generate one token for each of these questions. Raises Fault when the model cannot answer them."""
        self.loaded.try_out(questions, weighed)

    def tokens(self, text: str) -> int:
        """The number of tokens of `text`."""
        return self.loaded.tokens(text)

    def answer(
        self, questions: Sequence[Question], wanted: Sequence[int], most_tokens: int, batch_size: int
    ) -> Iterator[Answers]:
        """Answers to questions[i] for i in `wanted`, a batch at a time, the longest first."""
        return self.loaded.answer(questions, wanted, most_tokens, batch_size)

    def likelihoods(
        self, questions: Sequence[Question], wanted: Sequence[int], candidates: Sequence[str], batch_size: int
    ) -> Iterator[Likelihoods]:
        """ln P(candidate, end of turn | questions[i]) for i in `wanted`, a batch at a time, the longest first."""
        if wanted:
            yield from self.loaded.likelihoods(questions, wanted, candidates, batch_size)

    def describe(self) -> dict[str, object]:
        """The entries of run.json that determine the answers, apart from the data. dtype "auto" is the checkpoint's."""
        decoding: dict[str, object] = {"do_sample": False, "repetition_penalty": 1.0}
        if self.options.clips == "frames":
            decoding |= {"clips": "frames", "max_frames": self.options.max_frames}
        if self.options.media == "native":
            decoding |= {"media": "native", "reader": self.options.reader}
        described: dict[str, object] = {"decoding": decoding, "dtype": self.dtype, **self.checkpoint.identity()}
        described["media"] = self.options.media
        if self.path is not None:
            return described | self._settings() | {"model": self.path.facts}
        with suppress(Fault):  # nothing was loaded because no question is left; a hub model may be gone from the cache
            described |= self._settings()
        return described

    def _settings(self) -> dict[str, object]:
        """The template and the accepted modalities, which the model's config.json determines.

        Raises Fault when config.json is missing and the hub cannot be reached.
        """
        family = family_that_writes(self.checkpoint.model)
        if family and not (self._is_fast() or (family.chat_template and self.options.media == "budget")):
            family = None
        template = template_name(self.template, family)
        return {"template": template, "accepts": list(self.accepts())}

    @property
    def loaded(self) -> "FastPath | GenericPath":
        """The model, after `load`."""
        assert self.path is not None, "load() comes first"
        return self.path

    def _is_fast(self) -> bool:
        if self.template is not None or self.options.clips == "frames" or self.options.media == "native":
            return False
        find_settings(self.checkpoint.model)
        return marked_family(self.checkpoint.model) is not None


def _read(template: Path | None) -> str | None:
    """The text of a chat template, if one is given. Raises UsageFault when the file cannot be read."""
    try:
        return None if template is None else template.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageFault(f"--option chat_template={template}: cannot be read ({error})") from None
