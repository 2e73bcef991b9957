"""Load weights. A checkpoint must match its model exactly; otherwise a Fault is raised.

transformers and PEFT fill missing weights with random numbers, ignore weights that they do not know, and only warn.
Here we check what both report. If the files are on this machine, we first compare their headers with the model on
torch's meta device. That takes a second and no memory, and it also protects programs that load in other ways (vLLM,
LLaMA-Factory).
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
from transformers.utils import logging

from mmafflm.checkpoints import AGAIN, BIN, INDEX, read_header, weight_files
from mmafflm.errors import Fault, in_a_line
from mmafflm.files.documents import read_json
from mmafflm.hub import file_of, folder_of
from mmafflm.untrusted import CONFIG, require_harmless

LAYERS = ("num_hidden_layers", "depth", "encoder_layers", "decoder_layers")  # keys of a config.json
NAMED = 3  # how many keys of each kind a message lists
ADAPTER_WEIGHTS = "adapter_model.safetensors"
Shape = tuple[int, ...]


@contextmanager
def reading(where: str | Path) -> Iterator[None]:
    """Turn an exception of the libraries while they read a checkpoint into a Fault with its path and their message.

    The libraries check little. A malformed file fails where it is first used, with any exception; tokenizers raises
    plain Exception. Their warnings are hidden, because we check ourselves.
    """
    quiet: Any = logging  # some of transformers' types are wrong
    verbosity, bars = quiet.get_verbosity(), quiet.is_progress_bar_enabled()
    quiet.set_verbosity(quiet.CRITICAL)
    quiet.disable_progress_bar()
    try:
        yield
    except Fault:
        raise
    except Exception as error:
        raise Fault(f"{where}: cannot be loaded ({in_a_line(error)}). {AGAIN}") from None
    finally:
        quiet.set_verbosity(verbosity)
        if bars:
            quiet.enable_progress_bar()


def load(auto: Any, name: str, **given: Any) -> Any:
    """auto.from_pretrained(name, **given), where `auto` is one of transformers' Auto classes of models.

    name: a folder or a hub id. Raises Fault when it cannot be loaded, or when its weights do not match its config.
    """
    if "gguf_file" not in given:
        given["use_safetensors"] = not _only_bin(name)  # the other format is pickle: torch reads it with weights_only
        if given["use_safetensors"] and (folder := folder_of(name)):
            check(auto, folder)  # before memory is allocated for the model of the config
    with reading(name):
        model, info = auto.from_pretrained(
            name, trust_remote_code=False, output_loading_info=True, ignore_mismatched_sizes=True, **given
        )
    _require_all(name, model, info)
    return model


def _only_bin(name: str) -> bool:
    """Whether a model has only weights in the older format (BIN), judged by its folder or by its index in the cache."""
    folder = Path(name)
    if folder.is_dir():
        return bool(list(folder.glob(BIN))) and not list(folder.glob("*.safetensors"))
    return file_of(name, f"{BIN.replace('*', '')}.index.json") is not None and file_of(name, INDEX) is None


def kind_of(folder: Path) -> Any:
    """The Auto class of a generative model: the one for pictures and text if it has that, else the one for text."""
    require_harmless(folder)
    kind = read_json(folder / CONFIG, AGAIN).get("model_type")
    sees = kind in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
    return AutoModelForImageTextToText if sees else AutoModelForCausalLM


def check(auto: Any, folder: Path) -> Any:
    """Compare the headers of a folder's weights with the model of its config.json; returns the model, without weights.

    Raises Fault for weights that are missing, unexpected or of another shape, and when the folder cannot be read.
    """
    require_harmless(folder)
    shapes: dict[str, Shape] = {}
    for path in weight_files(folder):
        shapes |= read_header(path).shapes
    _require_depth(folder, read_json(folder / CONFIG, AGAIN), len(shapes))
    with reading(folder):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        with torch.device("meta"):
            kind: Any = type(auto.from_config(config, trust_remote_code=False))
            tensors = {name: torch.empty(shape) for name, shape in shapes.items()}
        # The public way to use transformers' own renaming, tying and exceptions without reading weights.
        with _EqualByShape():
            model, info = kind.from_pretrained(
                None, config=config, state_dict=tensors, device_map={"": "meta"}, trust_remote_code=False,
                output_loading_info=True, ignore_mismatched_sizes=True,
            )  # fmt: skip
    _require_all(folder, model, info)
    return model


class _EqualByShape(TorchFunctionMode):
    """Make torch.equal work on tensors without values: transformers compares tied weights that are stored apart."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.equal:
            return args[0].shape == args[1].shape
        return func(*args, **(kwargs or {}))


def check_before(auto: Any, model: str, adapter: str | None = None) -> bool:
    """Check a model, and a LoRA adapter for it, that another program will load.

    Returns False for a hub model that is not on this machine, which cannot be checked. Raises Fault as `check` and
    `check_adapter` do.
    """
    folder = folder_of(model)
    if folder is None:
        return False
    skeleton = check(auto, folder)
    if adapter is not None:
        check_adapter(skeleton, adapter)
    return True


def _require_depth(folder: Path, config: Mapping[str, Any], tensors: int) -> None:
    """Raises Fault for more layers than tensors, so that we never build a model of a billion layers, even on meta."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            _require_depth(folder, value, tensors)
        elif name in LAYERS and isinstance(value, int) and value > tensors:
            raise Fault(f"{folder / CONFIG}: {name} is {value}, but the weights are {tensors} tensors. {AGAIN}")


def _require_all(where: str | Path, model: Any, info: Mapping[str, Collection[Any]]) -> None:
    """Raises Fault when the loading info lists wrong keys. Buffers that the model creates itself may also be stored."""
    own = {name for name, _ in model.named_buffers()}
    shapes = [f"{name} {tuple(found)} instead of {tuple(due)}" for name, found, due in info["mismatched_keys"]]
    require_same(where, info["missing_keys"], set(info["unexpected_keys"]) - own, shapes)


def require_same(
    where: str | Path, missing: Collection[str], unexpected: Collection[str], mismatched: Collection[str]
) -> None:
    """Raises Fault when there is a key of any of these kinds. It counts those of each kind and lists the first."""
    kinds = {"missing": missing, "unexpected": unexpected, "of another shape": mismatched}
    found = [
        f"{len(keys)} {kind} ({', '.join(sorted(keys)[:NAMED])}{', ...' if len(keys) > NAMED else ''})"
        for kind, keys in kinds.items()
        if keys
    ]
    if found:
        raise Fault(
            f"{where}: its weights do not match its model: {'; '.join(found)}. "
            "transformers would fill gaps with random weights. Download, copy or convert it again."
        )


def adapted(model: Any, adapter: str) -> Any:
    """`model` with a LoRA adapter attached: PEFT's model, not yet merged.

    Raises Fault when the adapter is not LoRA, when nothing in the model matches it, when a key is missing, unexpected
    or of another shape, and when it cannot be read.
    """
    import peft

    folder = Path(adapter)
    found = _adapter_shapes(folder)
    with reading(folder):
        config: Any = peft.PeftConfig.from_pretrained(adapter)
        if config.peft_type != "LORA":
            raise Fault(f"{folder}: an adapter of the kind {config.peft_type}; only LoRA adapters are supported.")
        put_on: Any = peft.PeftModel(model, config, low_cpu_mem_usage=True)
        state_of: Any = peft.get_peft_model_state_dict
        state = state_of(put_on, save_embedding_layers=False)
        due = {name: tuple(one.shape) for name, one in state.items()}
        whole = {name: tuple(one.shape) for name, one in put_on.state_dict().items()}  # includes stored embeddings
    unexpected = [name for name in found if name not in due and name not in whole]
    require_same(folder, due.keys() - found.keys(), unexpected, _other_shapes(found, whole | due))
    with reading(folder):
        put_on.load_adapter(adapter, "default", low_cpu_mem_usage=True)
    return put_on


def check_adapter(model: Any, adapter: str) -> None:
    """Compare the names and shapes of a LoRA adapter with the model that `check` returned, without PEFT.

    Raises Fault for keys of modules that the model lacks, for other shapes, and for half of an A/B pair.
    """
    folder = Path(adapter)
    found = _adapter_shapes(folder)
    due: dict[str, Shape] = {}
    for name, module in model.named_modules():
        a, b = (f"base_model.model.{name}.lora_{side}.weight" for side in "AB")
        if isinstance(module, torch.nn.Linear) and (a in found or b in found):
            rank = found[a][0] if a in found else found[b][-1]
            due |= {a: (rank, module.in_features), b: (module.out_features, rank)}
    require_same(folder, due.keys() - found.keys(), found.keys() - due.keys(), _other_shapes(found, due))


def _adapter_shapes(folder: Path) -> dict[str, Shape]:
    require_harmless(folder)
    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise Fault(f"{folder}: no {ADAPTER_WEIGHTS}, so no weights. {AGAIN}")
    found = read_header(folder / ADAPTER_WEIGHTS).shapes
    if not found:
        raise Fault(f"{folder / ADAPTER_WEIGHTS}: holds no tensors, so it adapts no module. {AGAIN}")
    return found


def _other_shapes(found: Mapping[str, Shape], due: Mapping[str, Shape]) -> list[str]:
    return [f"{name} {shape} instead of {due[name]}" for name, shape in found.items() if due.get(name, shape) != shape]
