"""What the project must know about a model family: a Family is data and a few functions.

Nothing here imports torch. A function of a family that needs torch imports it when it is called. Sizes are in pixels.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Literal, NamedTuple

Config = Mapping[str, Any]  # what a model's config.json holds
CHATML_END = "<|im_end|>"  # ends a turn in ChatML, which many families write; others end with their own end tokens


class MediaSize(NamedTuple):
    """The size of a picture, or of a clip of `frames` frames.

    fps: how many of these frames there are per second, for families that write times into prompts.
    """

    width: int
    height: int
    frames: int | None = None
    fps: float = 2.0


class Marks(NamedTuple):
    """The text that represents a picture or clip in a prompt; `pad` is written once for each vision token."""

    start: str
    pad: str
    end: str

    def around(self, tokens: int) -> str:
        """The text for this many tokens, not counting the start and end marks."""
        return self.start + self.pad * tokens + self.end


@dataclass(frozen=True)
class Media:
    """How LLaMA-Factory's plugin and the family's processor treat pictures and clips."""

    accepts: tuple[Literal["image", "video"], ...]
    image: Marks
    video: Marks
    smallest: int  # pixels of the smallest frame that the model accepts
    largest: int  # pixels of the largest picture that the processor accepts
    frames_a_step: int  # frames in one time step; the last frame is repeated to fill a step. 1 without video
    fit: Callable[[int, int, int, int], tuple[int, int]]
    """(width, height, fewest pixels, most pixels) -> the width and height to which the plugin scales."""
    tokens: Callable[[MediaSize], int]
    """Tokens of a picture or clip of this size (after `fit`) in the prompt, its marks included.

    Raises ValueError for a size that the family's processor refuses."""
    text: Callable[[MediaSize], str]
    """The text that represents the picture or clip in the prompt, with every pad token."""
    timed: bool = False  # the prompt contains the times of a clip's frames
    frames_as_pictures: bool = False  # LLaMA-Factory uses the image processor for frames, transformers another one

    def padded(self, frames: int) -> int:
        """The number of frames after the last one is repeated to fill a time step."""
        return frames + -frames % self.frames_a_step


@dataclass(frozen=True)
class Conversation:
    """How a question and its answer are written."""

    exchange: str  # as LLaMA-Factory's template writes it, with {prompt} and {answer}
    tokens: int  # tokens of `exchange` without prompt and answer, for estimates without a tokenizer
    end_of_turn: str  # the token that ends an answer


class KeptNumbers(NamedTuple):
    """Numbers that a layer keeps for its backward pass: those always in float32, those in the computing precision."""

    float32: int
    computed: int

    def bytes(self, unit: int) -> int:
        """The bytes of all these numbers. unit: bytes per number in the computing precision."""
        return 4 * self.float32 + unit * self.computed


class Trainable(NamedTuple):
    """Parameters that get gradients, by part of the model."""

    text: int
    vision: int
    projector: int

    @property
    def total(self) -> int:
        """The sum over all parts."""
        return self.text + self.vision + self.projector


@dataclass(frozen=True)
class Architecture:
    """The sizes of a model. text, vision and projector count parameters; widths are in elements."""

    text: int  # of the decoder, its embedding and its head; tied ones count once
    vision: int
    projector: int
    vocabulary: int
    hidden: int
    intermediate: int
    layers: int
    tied: bool  # the embedding is also the head
    vision_hidden: int
    vision_intermediate: int
    depth: int  # blocks of the vision tower
    patch_values: int  # numbers of one patch: channels x frames x pixels
    patches_a_token: int
    text_layer: KeptNumbers  # for each token, in a decoder layer without checkpointing
    vision_block: KeptNumbers  # for each patch, in a block of the tower
    merging: KeptNumbers  # for each patch, in the projector
    lora_text: int  # adapter parameters for each rank under `lora_target: all`
    lora_vision: int
    dtype: str

    @property
    def embedding(self) -> int:
        """Parameters of the embedding, the largest single layer; ZeRO-3 gathers all of it at once."""
        return self.vocabulary * self.hidden

    @property
    def parameters(self) -> int:
        """All parameters; tied ones count once."""
        return self.text + self.vision + self.projector

    def trainable(self, config: Mapping[str, Any]) -> Trainable:
        """The parameters that a LLaMA-Factory config trains.

        LLaMA-Factory freezes tower and projector by default, and LoRA does not adapt the projector.
        """
        tower = not config.get("freeze_vision_tower", True)
        if config.get("finetuning_type", "lora") == "lora":
            rank = int(config.get("lora_rank", 8))
            return Trainable(rank * self.lora_text, rank * self.lora_vision if tower else 0, 0)
        projector = not config.get("freeze_multi_modal_projector", True)
        language = not config.get("freeze_language_model", False)
        return Trainable(self.text if language else 0, self.vision if tower else 0, self.projector if projector else 0)

    def flops(self, tokens: int, vision_tokens: int, trained: Trainable) -> float:
        """FLOPs of training on this many tokens (including vision tokens), without recomputation.

        If everything trains, N parameters cost 6 N FLOPs a token: 2 forward, 2 back through the activations, 2 for the
        gradients of the weights (Kaplan et al. 2020, section 2.1). A frozen part needs no gradients of its weights; a
        frozen tower needs no backward pass at all. Attention's own products, below 4% at 1,000 tokens, are left out;
        embedding lookups count as free.
        """
        decoder = self.text - (0 if self.tied else self.embedding)
        text = 4 * decoder + 2 * min(trained.text, decoder)
        patches = vision_tokens * self.patches_a_token
        seen = 4 * self.vision + 2 * trained.vision if trained.vision else 2 * self.vision
        merged = 4 * self.projector + 2 * trained.projector if trained.projector else 2 * self.projector
        return float(text * tokens + seen * patches + merged * vision_tokens)

    def recomputed(self, tokens: int, vision_tokens: int, trained: Trainable) -> float:
        """FLOPs that gradient checkpointing adds: the decoder's forward pass, and the tower's where it trains."""
        decoder = self.text - (1 if self.tied else 2) * self.embedding
        tower = self.vision * vision_tokens * self.patches_a_token if trained.vision else 0
        return float(2 * decoder * tokens + 2 * tower)


class Mend(NamedTuple):
    """A change that training must make to a module of transformers; it is applied as soon as the module is imported."""

    module: str
    apply: Callable[[ModuleType], None]


class StandIn(NamedTuple):
    """The parts of a small random model of the family. See mmafflm/standin/standin.py."""

    chat_tokens: tuple[str, ...]  # the padding token, the start of a turn, the end of a turn
    media_tokens: tuple[str, ...]
    chat_template: str
    model: Callable[[dict[str, Any], dict[str, Any], Any], Any]
    """(text sizes, vision sizes, tokenizer) -> a model with random weights."""
    processor: Callable[[Any], Any]
    """tokenizer -> the family's own processor, with the pixel limits of the published models."""


@dataclass(frozen=True)
class Family:
    """One model family. Families with the same pixels and tokens share one object as `media`."""

    name: str  # as people write it, such as "Qwen2.5-VL"
    model_types: tuple[str, ...]  # the values of `model_type` in config.json that belong to the family
    template: str  # LLaMA-Factory's name of its prompt template
    conversation: Conversation
    media: Media
    architecture: Callable[[Config], Architecture]
    """The sizes of a config.json. Raises KeyError when one is missing."""
    published: Mapping[str, Config]  # {hub id: the part of its config.json that decides the sizes}
    mixed_media_hangs: bool  # a micro-batch with pictures and clips hangs under ZeRO-3
    mixed_media_swapped: bool = False  # LLaMA-Factory may swap the pictures and clips of such a micro-batch
    positions: Callable[..., Any] | None = None
    """(model, ids, image grid, clip grid, seconds of each clip's time steps) -> positions of one row, (3, tokens).

    None: the engine hf uses its generic path for this family."""
    mend: Mend | None = None
    chat_template: str | None = None
    """The engines use it to write the same prompts as training, where the published template would write others."""
    keys: Mapping[str, Any] = field(default_factory=dict)
    """LLaMA-Factory keys that `plan` sets. Without them, training would use other media than evaluation."""
    standin: Callable[[], StandIn] | None = None
