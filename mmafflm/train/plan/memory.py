"""The GPU memory that a training step needs, computed: weights, gradients, optimizer, activations, logits.

This is an estimate. Under ZeRO, model states follow DeepSpeed's own estimate (zero/stage3.py and stage_1_and_2.py: in
bf16 18 bytes a parameter, divided by the ranks); a test compares the two. Activations are counted from what the
family's layers keep for the backward pass (mmafflm/families). tests/mmafflm/train/plan/test_memory.py compares the
total with the measured peaks of small models in one process on a CPU; they agree within 20%.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmafflm.families.base import Architecture, Trainable
from mmafflm.files.documents import read_json

GIB = 2**30
# The loss is computed in fp32. Its backward pass holds the log-softmax, its gradient and the gradient of the logits, 12
# bytes for each logit. The logits themselves are freed by then. In the forward pass the logits, their fp32 copy and the
# log-softmax take 10 bytes.
LOGIT_BYTES = 12
HOST_FACTOR = 1.5  # DeepSpeed's additional_buffer_factor
DEFAULT_BUCKET = 500_000_000  # elements
USABLE = 0.9  # share of a card; a tenth is for the CUDA context (about 0.5 GiB), NCCL's buffers and fragmentation


@dataclass(frozen=True)
class Setup:
    """The settings of a training on which its memory depends."""

    ranks: int
    nodes: int
    stage: int  # ZeRO stage; 0 without DeepSpeed
    offload: bool  # whether the optimizer is offloaded to the host
    micro: int  # examples in a micro-batch
    half: bool  # computes in bf16 or fp16
    checkpointing: bool
    buckets: int  # elements in DeepSpeed's reduction buffers

    @classmethod
    def of(cls, config: dict[str, Any], ranks: int, nodes: int) -> "Setup":
        """The setup of a complete config."""
        zero: dict[str, Any] = {}
        if config.get("deepspeed"):
            zero = read_json(Path(config["deepspeed"]), "Correct it.").get("zero_optimization", {})
        bucket = zero.get("reduce_bucket_size", DEFAULT_BUCKET)
        return cls(
            ranks=ranks,
            nodes=nodes,
            stage=int(zero.get("stage", 0)),
            offload=zero.get("offload_optimizer", {}).get("device") == "cpu",
            micro=int(config["per_device_train_batch_size"]),
            half=bool(config.get("bf16") or config.get("fp16")),
            checkpointing=not config.get("disable_gradient_checkpointing", False),
            buckets=0 if bucket == "auto" or not zero else int(bucket),
        )

    def with_zero(self, stage: int, offload: bool, micro: int, checkpointing: bool) -> "Setup":
        """This setup with another stage, micro-batch and so on, and the buckets of the shipped DeepSpeed files."""
        buckets = DEFAULT_BUCKET if stage == 2 else 0
        return replace(self, stage=stage, offload=offload, micro=micro, checkpointing=checkpointing, buckets=buckets)

    def __str__(self) -> str:
        zero = f"ZeRO-{self.stage}{' + offload' if self.offload else ''}" if self.stage else "no ZeRO"
        return f"{zero}, micro-batch {self.micro}{'' if self.checkpointing or not self.stage else ', no checkpointing'}"


@dataclass(frozen=True)
class Memory:
    """Bytes on one GPU at the peak of a step, and on the host of one node."""

    weights: float
    gradients: float
    optimizer: float
    gathered: float  # weights that ZeRO-3 briefly gathers, or ZeRO-2's buckets
    kept: float  # activations kept for the backward pass
    working: float  # the larger of the loss over all logits, and one layer in its backward pass
    host: float  # bytes on the host of one node, by DeepSpeed's estimate; 0 without offload

    @property
    def total(self) -> float:
        """All bytes on the GPU."""
        return self.weights + self.gradients + self.optimizer + self.gathered + self.kept + self.working

    def fits(self, card_gib: float) -> bool:
        """Whether the total is within the usable nine tenths of a card."""
        return self.total <= USABLE * card_gib * GIB


@dataclass(frozen=True)
class Load:
    """What a step processes, in tokens."""

    longest: int  # tokens of the longest record; every record of the micro-batch is assumed to be as long
    most_vision: int  # vision tokens of the record with the most of them
    waiting: float = 0  # vision tokens of all examples of one rank in one optimizer step


def memory(size: Architecture, trained: Trainable, setup: Setup, load: Load, lora: bool) -> Memory:
    """The peak of a step in which every record of the micro-batch is as long as the longest."""
    kept, working = _activations(size, trained, setup, load)
    # The Trainer fetches all micro-batches of an optimizer step before the first one runs, with pixels in fp32 on the
    # card.
    kept += 4 * load.waiting * size.patches_a_token * size.patch_values
    weights, gradients, optimizer, gathered, host = _states(size, trained, setup, lora)
    return Memory(weights, gradients, optimizer, gathered, kept, working, host)


def _states(
    size: Architecture, trained: Trainable, setup: Setup, lora: bool
) -> tuple[float, float, float, float, float]:
    """Weights, gradients, optimizer and buffers on a GPU, and the host's part, all in bytes."""
    unit = 2 if setup.half else 4
    train = trained.total
    frozen = size.parameters if lora else size.parameters - train
    if setup.stage == 0:
        # LLaMA-Factory casts trained weights to fp32; autocast then keeps half-precision copies of them
        return unit * frozen + (6 if setup.half else 4) * train, 4 * train, 8 * train, 0, 0
    shards = setup.ranks if setup.stage == 3 else 1
    weights = unit * (frozen + train) / shards
    gradients = (4 if setup.stage == 3 else 6) * train / setup.ranks
    optimizer = 12 * train / setup.ranks  # fp32 weights and Adam's two moments
    buffers = 4 * size.embedding if setup.stage == 3 else 2 * unit * setup.buckets  # both buckets are in use at once
    if not setup.offload:
        return weights, gradients, optimizer, buffers, 0
    return weights, 0 if setup.stage == 3 else 2 * train, 0, buffers, 16 * train * HOST_FACTOR / setup.nodes


def _activations(size: Architecture, trained: Trainable, setup: Setup, load: Load) -> tuple[float, float]:
    """(kept for the backward pass, the largest working set in addition to it), in bytes."""
    unit = 2 if setup.half else 4
    tokens, merged = setup.micro * load.longest, setup.micro * load.most_vision
    patches = merged * size.patches_a_token
    layer: float = tokens * size.text_layer.bytes(unit)
    if setup.half and not setup.stage:
        # Autocast: the residual stream between layers stays fp32, and each of five matrix products keeps its own half-
        # precision copy of its input.
        layer += 10 * tokens * size.hidden
    block: float = patches * size.vision_block.bytes(unit) if trained.vision else 0
    kept = float(unit * 3 * tokens * size.hidden)  # embeddings with pictures inserted, and the head's input
    kept += unit * merged * size.hidden
    kept += unit * patches * size.patch_values if trained.vision else 0  # pixels, for the patch embedding's gradient
    if setup.checkpointing:  # a layer keeps its input, and the rest is computed again
        kept += unit * tokens * size.hidden * size.layers
        kept += unit * patches * size.vision_hidden * size.depth if trained.vision else 0
    else:
        kept += layer * size.layers + block * size.depth
    if trained.vision or trained.projector:
        kept += patches * size.merging.bytes(unit)
    logits = tokens * size.vocabulary * LOGIT_BYTES
    back = tokens * 3 * unit * size.intermediate, patches * 3 * unit * size.vision_intermediate
    if not setup.checkpointing:
        layer = block = 0
    return kept, max(logits, layer + back[0], block + back[1] if trained.vision else 0)


def checkpoint_bytes(size: Architecture, trained: Trainable, setup: Setup, lora: bool) -> int:
    """Bytes of one checkpoint on disk: weights (for LoRA, those of the adapter) and the optimizer's state.

    DeepSpeed writes fp32 weights and two moments (12 bytes for each trained parameter). Under ZeRO-2 it also writes the
    module's weights once more. Without DeepSpeed, the Trainer writes fp32 weights and two moments.
    """
    unit = 2 if setup.half and setup.stage else 4
    saved = trained.total if lora else size.parameters
    states = 8 * trained.total if setup.stage == 0 else 12 * trained.total
    return unit * saved * (2 if setup.stage == 2 else 1) + states
