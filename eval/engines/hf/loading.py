"""What both paths of the engine hf do with a checkpoint: load it, find its end tokens, describe it."""

import ctypes
from typing import Any

import torch

from eval.engines.model_facts import facts
from eval.run.checkpoint import Checkpoint
from mmafflm.errors import Fault
from mmafflm.weights import adapted, load, reading

DTYPES = {"auto": "auto", "float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def loaded(auto: Any, checkpoint: Checkpoint, dtype: str) -> Any:
    """The model, on a GPU if there is one, with an adapter merged into it as in an export.

    auto: one of transformers' Auto classes of models. Raises Fault when the weights cannot be read or do not fit.
    """
    model = load(auto, checkpoint.model, dtype=DTYPES[dtype])
    if checkpoint.adapter is not None:
        put_on = adapted(model, checkpoint.adapter)
        with reading(checkpoint.adapter):
            model = put_on.merge_and_unload(safe_merge=True)
    if not torch.cuda.is_available():
        _keep_freed_memory()
        return model.eval()
    with reading(checkpoint.model):  # it may be too large for the GPU
        return model.to("cuda").eval()


def end_tokens(model: Any, where: str) -> set[int]:
    """The ids in eos_token_id of generation_config.json. Raises Fault when they are no ids."""
    given = model.generation_config.eos_token_id
    ids = given if isinstance(given, list) else [] if given is None else [given]
    if not all(type(one) is int and one >= 0 for one in ids):
        raise Fault(f"{where}: eos_token_id in generation_config.json is {given!r:.60}, and not ids of tokens.")
    return set(ids)


def facts_of(model: Any, processor: Any, template: str) -> dict[str, Any]:
    """What run.json records of a loaded model; `try_out` fills `inputs`, the sizes of a question of each modality."""
    return facts(model.config.model_type, processor, template) | {"class": type(model).__name__, "inputs": {}}


def _keep_freed_memory() -> None:
    """Let the allocator reuse large blocks. Otherwise glibc returns them to the system: a third of the time is lost."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD
        libc.mallopt(-1, (1 << 31) - 1)  # M_TRIM_THRESHOLD
