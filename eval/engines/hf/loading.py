"""Load a checkpoint for both paths of the engine hf, find its end tokens and describe it."""

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
    with reading(checkpoint.model):  # the model may be too large for the GPU
        return model.to("cuda").eval()


def end_tokens(model: Any, where: str) -> set[int]:
    """The ids in eos_token_id of generation_config.json. Raises Fault when the value is not an id or a list of ids."""
    given = model.generation_config.eos_token_id
    ids = given if isinstance(given, list) else [] if given is None else [given]
    if not all(type(one) is int and one >= 0 for one in ids):
        raise Fault(f"{where}: eos_token_id in generation_config.json is {given!r:.60}, not an id or a list of ids.")
    return set(ids)


def facts_of(model: Any, processor: Any, template: str) -> dict[str, Any]:
    """What run.json records of a loaded model. `try_out` fills `inputs` with the input sizes for each modality."""
    return facts(model.config.model_type, processor, template) | {"class": type(model).__name__, "inputs": {}}


def _keep_freed_memory() -> None:
    """Let the allocator reuse large blocks. glibc returns them to the system by default, which takes a third of the
    time."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD
        libc.mallopt(-1, (1 << 31) - 1)  # M_TRIM_THRESHOLD
