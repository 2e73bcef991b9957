"""The checkpoints of a run: which is whole, and weights under the names that the trainer looks for."""

import json
import shutil
import zipfile
from pathlib import Path

from mmafflm.command import say
from mmafflm.errors import Fault
from mmafflm.records import replacing


def numbered(out: Path) -> dict[int, Path]:
    """The checkpoints of a run by their steps, whole or not."""
    return {int(path.name[11:]): path for path in out.glob("checkpoint-*") if path.name[11:].isdecimal()}


def last_checkpoint(out: Path, ranks: int, aside: bool = True) -> Path | None:
    """The newest whole checkpoint of a run of `ranks` processes.

    Half-written ones are renamed, unless `aside` is false: of several nodes that see one folder, one does it.
    """
    for _, path in sorted(numbered(out).items(), reverse=True):
        fault = what_is_missing(path, ranks)
        if fault is None:
            return path
        if aside:
            other = path.with_name(f"incomplete-{path.name}")  # not checkpoint-*: the trainer counts those to keep K
            for older in out.glob("incomplete-checkpoint-*"):
                shutil.rmtree(older)
            path.rename(other)
            say(f"{path}: half-written ({fault}), passed over (now {other.name}).")
    return None


def is_whole(checkpoint: Path) -> bool:
    """Whether a checkpoint's weights are all there, to answer with or to export."""
    return _weights_fault(checkpoint) is None


def what_is_missing(checkpoint: Path, ranks: int) -> str | None:
    """What a checkpoint lacks for `ranks` processes to go on from it, in words; None when it is whole.

    A kill leaves files out; a power cut also leaves files short that were written before others. So each is looked at:
    weights against the sizes in their header, torch's files (ZIP archives) for the directory at their end. Nothing
    is unpickled.
    """
    if fault := _weights_fault(checkpoint):
        return fault
    states, fault = _trainers_files(checkpoint, ranks)
    return fault or next((f"{path.name} missing or cut short" for path in states if not zipfile.is_zipfile(path)), None)


def _weights_fault(checkpoint: Path) -> str | None:
    try:
        json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))  # written last
    except (OSError, ValueError):
        return "no trainer_state.json"
    weights = list(checkpoint.glob("*.safetensors"))
    index = checkpoint / "model.safetensors.index.json"
    if index.exists():
        try:
            weights += [checkpoint / name for name in shards_of(index)]
        except Fault:
            return f"{index.name} cut short"
    if not weights:
        return "no weights"
    return next((f"{path.name} missing or cut short" for path in weights if not _whole_weights(path)), None)


def shards_of(index: Path) -> set[str]:
    """The files of weights that an index (model.safetensors.index.json) names. Raises Fault when it is not whole."""
    try:
        return set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Fault(f"{index}: cut short, or no index of weights. Download or copy the folder again.") from None


def _trainers_files(checkpoint: Path, ranks: int) -> tuple[list[Path], str | None]:
    """The optimizer's, scheduler's and random states that a checkpoint should have; or what is wrong with the list."""
    random = [checkpoint / (f"rng_state_{rank}.pth" if ranks > 1 else "rng_state.pth") for rank in range(ranks)]
    latest = checkpoint / "latest"
    if not latest.exists() and not any(checkpoint.glob("global_step*")):
        return [checkpoint / "optimizer.pt", checkpoint / "scheduler.pt", *random], None
    # DeepSpeed: a folder of its own, named by `latest`, with one optimizer state a rank
    folder = checkpoint / latest.read_text(encoding="utf-8").strip() if latest.exists() else None
    if folder is None or not folder.is_dir():
        return [], "DeepSpeed's `latest` names no folder"
    optimizers, models = list(folder.glob("*optim_states.pt")), list(folder.glob("*model_states.pt"))
    if len(optimizers) != ranks or not models:
        return [], f"{folder.name} holds {len(optimizers)} optimizer states of {ranks}"
    return [*optimizers, *models, *random], None


def _whole_weights(path: Path) -> bool:
    """Whether a safetensors file is as long as its header says."""
    try:
        with path.open("rb") as weights:
            size = int.from_bytes(weights.read(8), "little")
            header = json.loads(weights.read(size))
    except (OSError, ValueError, OverflowError, MemoryError):
        return False
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    return path.stat().st_size == 8 + size + max(ends, default=0)


def rename_weights(checkpoint: Path) -> None:
    """Give a checkpoint's weights the names that the model has in memory.

    transformers 5.6 saves Qwen2.5-VL under its published names (visual.*, model.layers.*) and resumes by
    load_state_dict(strict=False) with the names in memory (model.visual.*, model.language_model.*): nothing matches,
    a warning scrolls by, and the run goes on from the base's weights with the optimizer's old state (seen: loss 8.4
    after step 3 where it was 6.8). DeepSpeed loads its own files and is not affected. from_pretrained reads both.
    """
    for path in sorted(checkpoint.glob("model*.safetensors")):
        with path.open("rb") as weights:
            size = int.from_bytes(weights.read(8), "little")
            header = json.loads(weights.read(size))
            renamed = {_in_memory(name): entry for name, entry in header.items()}
            if renamed == header:
                continue
            text = json.dumps(renamed).encode()
            text += b" " * (-len(text) % 8)  # the data stays aligned; its offsets count from the header's end
            with replacing(path) as out:
                out.write(len(text).to_bytes(8, "little") + text)
                shutil.copyfileobj(weights, out, 1 << 24)
    index = checkpoint / "model.safetensors.index.json"
    if index.exists():
        content = json.loads(index.read_text(encoding="utf-8"))
        content["weight_map"] = {_in_memory(name): shard for name, shard in content["weight_map"].items()}
        with replacing(index) as out:
            out.write(json.dumps(content, indent=2).encode())


def _in_memory(name: str) -> str:
    """model.layers.0... -> model.language_model.layers.0..., visual... -> model.visual...; others stay."""
    if name.startswith("visual."):
        return f"model.{name}"
    if name.startswith("model.") and not name.startswith(("model.visual.", "model.language_model.")):
        return f"model.language_model.{name.removeprefix('model.')}"
    return name
