"""How large a Qwen2.5-VL is, by arithmetic over its config.json: parameters, what of them trains, FLOPs. No torch.

The numbers of Qwen2.5-VL-3B- and 7B-Instruct stand in models/*.json. A test builds both on torch's meta device and
gets the published counts, 3,754,622,976 and 8,292,166,656, which are those of this arithmetic.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmafflm.checkpoints import AGAIN
from mmafflm.documents import read_json
from mmafflm.errors import Fault
from mmafflm.media import MERGE

SHIPPED = Path(__file__).parent / "models"
TEXT_KEYS = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
             "vocab_size")  # fmt: skip
VISION_KEYS = ("hidden_size", "intermediate_size", "depth")


@dataclass(frozen=True)
class Trainable:
    """Parameters that get gradients, by part of the model."""

    text: int
    vision: int
    projector: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.text + self.vision + self.projector


@dataclass(frozen=True)
class Architecture:
    """The sizes of a Qwen2.5-VL. Widths in elements; `layers` decode text, `depth` blocks see patches."""

    hidden: int
    intermediate: int
    layers: int
    key_value_width: int
    vocabulary: int
    tied: bool  # the embedding is the head too
    vision_hidden: int
    vision_intermediate: int
    depth: int
    patch_values: int  # numbers of one patch: channels x frames x pixels
    dtype: str

    @property
    def embedding(self) -> int:
        """Parameters of the embedding: the largest single layer, which ZeRO-3 gathers whole."""
        return self.vocabulary * self.hidden

    @property
    def text(self) -> int:
        """Parameters of the decoder, its embedding and its head."""
        attention = 2 * self.hidden**2 + self.hidden + 2 * self.key_value_width * (self.hidden + 1)
        layer = attention + 3 * self.hidden * self.intermediate + 2 * self.hidden
        return self.layers * layer + self.hidden + self.embedding * (1 if self.tied else 2)

    @property
    def vision(self) -> int:
        """Parameters of the vision tower: the patch embedding and its blocks, which carry biases."""
        width, wide = self.vision_hidden, self.vision_intermediate
        block = 4 * width**2 + 4 * width + 3 * width * wide + 2 * wide + width + 2 * width
        return self.patch_values * width + self.depth * block

    @property
    def projector(self) -> int:
        """Parameters of the merger, which turns four patches into a token of the decoder."""
        wide = self.vision_hidden * MERGE**2
        return self.vision_hidden + wide**2 + wide + wide * self.hidden + self.hidden

    @property
    def parameters(self) -> int:
        """All parameters, tied ones once."""
        return self.text + self.vision + self.projector

    def trainable(self, config: dict[str, Any]) -> Trainable:
        """What a LLaMA-Factory config trains: it freezes tower and projector unless told, and LoRA has no projector."""
        tower = not config.get("freeze_vision_tower", True)
        if config.get("finetuning_type", "lora") == "lora":
            rank = int(config.get("lora_rank", 8))
            return Trainable(rank * self._lora_text(), rank * self._lora_vision() if tower else 0, 0)
        projector = not config.get("freeze_multi_modal_projector", True)
        language = not config.get("freeze_language_model", False)
        return Trainable(self.text if language else 0, self.vision if tower else 0, self.projector if projector else 0)

    def _lora_text(self) -> int:
        """Inputs plus outputs of the linear maps that `lora_target: all` finds in the decoder, the head not."""
        attention = 2 * (self.hidden + self.hidden) + 2 * (self.hidden + self.key_value_width)
        return self.layers * (attention + 3 * (self.hidden + self.intermediate))

    def _lora_vision(self) -> int:
        """The same of the vision blocks: qkv, proj and the three of the MLP."""
        attention = 4 * self.vision_hidden + 2 * self.vision_hidden
        return self.depth * (attention + 3 * (self.vision_hidden + self.vision_intermediate))

    def flops(self, tokens: int, vision_tokens: int, trained: Trainable) -> float:
        """FLOPs of training on so many tokens (vision tokens among them), without recomputation.

        6 N a token where everything trains: 2 forward, 2 back through the activations, 2 for the weights' gradients
        (Kaplan et al. 2020, section 2.1). What is frozen saves its gradients; a frozen tower the way back too.
        Attention's own products, below 4% at 1,000 tokens, are left out; the embedding's lookup costs nothing.
        """
        decoder = self.text - (0 if self.tied else self.embedding)
        text = 4 * decoder + 2 * min(trained.text, decoder)
        patches = vision_tokens * MERGE**2
        seen = 4 * self.vision + 2 * trained.vision if trained.vision else 2 * self.vision
        merged = 4 * self.projector + 2 * trained.projector if trained.projector else 2 * self.projector
        return float(text * tokens + seen * patches + merged * vision_tokens)


def read_architecture(base: str) -> Architecture | None:
    """The sizes of a base: a folder's config.json, or the shipped numbers of a name on the hub; None when unknown.

    Raises Fault for a config.json whose values are not of their kind.
    """
    local = Path(base) / "config.json"
    path = local if local.exists() else SHIPPED / f"{base.rpartition('/')[2]}.json"
    try:
        return from_config(read_json(path, AGAIN))
    except (FileNotFoundError, KeyError):
        return None
    except (ValueError, TypeError, AttributeError, ArithmeticError) as error:
        raise Fault(f"{path}: not the sizes of a model ({error}). {AGAIN}") from None


def from_config(config: dict[str, Any]) -> Architecture:
    """The sizes of a config.json, flat as on the hub or nested as transformers 5 writes it. KeyError when it is none.

    `text_config` wins over flat keys; `in_chans` is the hub's older name of `in_channels`.
    """
    text, vision = config.get("text_config") or config, config["vision_config"]
    hidden, wide, layers, heads, groups, vocabulary = (int(text[key]) for key in TEXT_KEYS)
    vision_hidden, vision_wide, depth = (int(vision[key]) for key in VISION_KEYS)
    channels = int(vision.get("in_channels", vision.get("in_chans", 3)))
    return Architecture(
        hidden=hidden,
        intermediate=wide,
        layers=layers,
        key_value_width=hidden // heads * groups,
        vocabulary=vocabulary,
        tied=bool(config.get("tie_word_embeddings", text.get("tie_word_embeddings", False))),
        vision_hidden=vision_hidden,
        vision_intermediate=vision_wide,
        depth=depth,
        patch_values=channels * int(vision.get("temporal_patch_size", 2)) * int(vision.get("patch_size", 14)) ** 2,
        dtype=str(config.get("dtype") or config.get("torch_dtype") or text.get("dtype") or "bfloat16"),
    )
