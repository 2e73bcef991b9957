"""The arguments that start vLLM. They come from `--option NAME=VALUE`, the checkpoint and the machine."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from eval.run.checkpoint import ADAPTER, Checkpoint
from mmafflm.checkpoints import AGAIN, read_header
from mmafflm.errors import Fault, UsageFault
from mmafflm.files.documents import read_json

GIB = 1 << 30
# The most tokens of a prompt and its answer: twice training's cutoff_len. A lower limit frees memory for more rows.
LONGEST = 8192
IN_FLIGHT = 128  # rows that vLLM processes at once; the pixels of 128 pictures take 0.8 GB
MEDIA = 8  # the most pictures per prompt, and the most clips; a prompt of the benchmark has at most one
LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # the sizes that vLLM accepts for max_lora_rank


def _switch(value: str) -> bool:
    return {"true": True, "false": False}[value.lower()]


TEMPLATE = "chat_template"  # our own option: a file whose template replaces the checkpoint's
# The other options have vLLM's own names and should not change an answer. Arguments that would change answers (dtype,
# quantization, running code of the checkpoint) are not options.
OPTIONS: dict[str, Callable[[str], Any]] = {
    "tensor_parallel_size": int,
    "pipeline_parallel_size": int,
    "distributed_executor_backend": str,
    "gpu_memory_utilization": float,
    "kv_cache_memory_bytes": int,
    "max_model_len": int,
    "max_num_seqs": int,
    "enforce_eager": _switch,
    TEMPLATE: lambda file: Path(file).read_text(encoding="utf-8"),
}


def parse_options(options: dict[str, str]) -> dict[str, Any]:
    """The options converted to the types that vLLM expects; chat_template becomes the text of its file.

    Raises UsageFault for an unknown option, an invalid value and a file that cannot be read.
    """
    parsed = {}
    for name, value in options.items():
        if name == "data_parallel_size":
            raise UsageFault(
                "--engine vllm takes no option data_parallel_size: vLLM's offline engine is one process. "
                "Pass --jobs N to start N engines, each with its share of the records and of the GPUs."
            )
        if name not in OPTIONS:
            raise UsageFault(f"--engine vllm takes no option {name}; its options are {', '.join(OPTIONS)}")
        try:
            parsed[name] = OPTIONS[name](value)
        except OSError as error:
            raise UsageFault(f"--option {name}={value}: {error.strerror}") from None
        except (KeyError, ValueError):
            raise UsageFault(f"--option {name}={value}: not a valid value") from None
    return parsed


def engine_arguments(
    checkpoint: Checkpoint, dtype: str, positions: int, cpu: bool, media: Sequence[str], options: dict[str, Any]
) -> dict[str, Any]:
    """The keyword arguments of vllm.LLM.

    dtype: as vLLM spells it. positions: the model's longest context. media: "image" and "video", if the model accepts
    them.
    """
    arguments: dict[str, Any] = {
        "model": checkpoint.model,
        "dtype": dtype,
        "seed": 0,
        "enable_prefix_caching": True,
        "max_model_len": min(LONGEST, positions),
        "max_num_seqs": IN_FLIGHT,
        "limit_mm_per_prompt": dict.fromkeys(media, MEDIA),
    }
    if cpu:
        # With a given cache size, vLLM does not have to try the largest picture (12.8 million pixels). Blocks are
        # small, because vLLM computes the part of a prompt after its last whole block again for every candidate. The
        # CPU's attention prefers blocks of at least 32 tokens.
        arguments |= {"kv_cache_memory_bytes": GIB, "skip_mm_profiling": True, "block_size": 32, "enforce_eager": True}
    if checkpoint.adapter is not None:
        arguments |= lora_arguments(Path(checkpoint.adapter))
    return arguments | options


def lora_arguments(adapter: Path) -> dict[str, Any]:
    """Arguments for one LoRA adapter. Raises UsageFault when its rank is above 512 or it changes the vision tower.

    Raises Fault when the rank in the adapter's config is missing or not a whole number.
    """
    rank = read_json(adapter / ADAPTER, AGAIN).get("r")
    if not isinstance(rank, int):
        raise Fault(f"{adapter / ADAPTER}: its rank (r) is not a whole number. {AGAIN}")
    if rank > LORA_RANKS[-1]:
        raise UsageFault(
            f"{adapter}: its rank is {rank}, and vLLM accepts at most {LORA_RANKS[-1]}. Merge it first: mmafflm export."
        )
    if _in_vision(adapter):
        # vLLM 0.32 can load it (enable_tower_connector_lora), but its answers to pictures differed from those of the
        # merged model.
        raise UsageFault(
            f"{adapter}: it changes the vision tower, which vLLM applies wrongly. Merge it first: mmafflm export."
        )
    return {"enable_lora": True, "max_loras": 1, "max_lora_rank": next(size for size in LORA_RANKS if size >= rank)}


def _in_vision(adapter: Path) -> bool:
    """Whether the name of a tensor in the adapter's *.safetensors files shows that it belongs to the vision tower."""
    paths = adapter.glob("adapter_model*.safetensors")
    return any(".visual." in name for path in paths for name in read_header(path).shapes)
