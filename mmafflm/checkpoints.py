"""The checkpoints of a run: which are complete, and how weights get the names that the trainer expects."""

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

from mmafflm.errors import Fault
from mmafflm.files.documents import loads, read_json
from mmafflm.records import replacing
from mmafflm.terminal.command import say

AGAIN = "Download or copy the folder again."
INDEX, WEIGHTS = "model.safetensors.index.json", "model.safetensors"
BIN = "pytorch_model*.bin"  # older weights: pickle, which torch reads with weights_only
METADATA = "__metadata__"  # the one key of a safetensors header that does not describe a tensor
MOST_HEADER = 100_000_000  # bytes; the limit of the safetensors library


def numbered(out: Path) -> dict[int, Path]:
    """{step: folder} of a run's checkpoints, complete or not."""
    return {int(path.name[11:]): path for path in out.glob("checkpoint-*") if path.name[11:].isdecimal()}


def last_checkpoint(out: Path, ranks: int, aside: bool = True) -> Path | None:
    """The newest complete checkpoint of a run of `ranks` processes, or None.

    Newer, incomplete ones are renamed to incomplete-*, of which only the last is kept. With `aside` false nothing is
    renamed, because only one of several nodes that share the folder may do it.
    """
    for _, path in sorted(numbered(out).items(), reverse=True):
        fault = what_is_missing(path, ranks)
        if fault is None:
            return path
        if aside:
            other = path.with_name(
                f"incomplete-{path.name}"
            )  # no longer checkpoint-*, because the trainer counts such folders and deletes the oldest
            for older in out.glob("incomplete-checkpoint-*"):
                shutil.rmtree(older)
            path.rename(other)
            say(f"{path}: half-written ({fault}); skipped, and renamed to {other.name}.")
    return None


def is_whole(checkpoint: Path) -> bool:
    """Whether a checkpoint has trainer_state.json and all weights, so that it can be evaluated or exported."""
    return _weights_fault(checkpoint) is None


def what_is_missing(checkpoint: Path, ranks: int) -> str | None:
    """What a checkpoint lacks for `ranks` processes to resume from it, in words; None when it is complete.

    After a kill, files are missing. After a power cut, a file may also be cut short, even if files that were written
    later are whole. So every file is checked: weights against the sizes in their header, torch's files (ZIP archives)
    for the directory at their end. Nothing is unpickled.
    """
    if fault := _weights_fault(checkpoint):
        return fault
    states, fault = _trainers_files(checkpoint, ranks)
    return fault or next((f"{path.name} missing or cut short" for path in states if not zipfile.is_zipfile(path)), None)


def _weights_fault(checkpoint: Path) -> str | None:
    try:
        read_json(checkpoint / "trainer_state.json", AGAIN)  # written last
    except (OSError, Fault):
        return "no trainer_state.json"
    weights = list(checkpoint.glob("*.safetensors"))
    index = checkpoint / INDEX
    if index.exists():
        try:
            weights += [checkpoint / name for name in shards_of(index)]
        except Fault:
            return f"{index.name} cut short"
    if not weights:
        return "no weights"
    return next((f"{path.name} missing or cut short" for path in weights if not _whole_weights(path)), None)


def shards_of(index: Path) -> set[str]:
    """The weight files that an index (model.safetensors.index.json) lists, all of them in the index's folder.

    Raises Fault when the index is not valid, or lists a file in another folder.
    """
    placed = read_json(index, AGAIN).get("weight_map")
    if not isinstance(placed, dict) or not placed:
        raise Fault(f"{index}: not an index of weights, because it has no weight_map. {AGAIN}")
    for shard in placed.values():
        if not isinstance(shard, str) or not is_plain_name(shard):
            raise Fault(f"{index}: names the weights {shard!r:.80}, which is not a file of this folder. {AGAIN}")
    return set(placed.values())


def is_plain_name(name: str) -> bool:
    """Whether a name from an untrusted file is a plain file name, so that it cannot lead out of its folder."""
    return name not in ("", ".", "..") and not any(mark in name for mark in "/\\\0:")


def weight_files(folder: Path) -> list[Path]:
    """The weight files of a model: those that its index lists, or model.safetensors.

    Raises Fault when a file is missing, and when there is also a model.safetensors that the index does not list:
    transformers would read this file, and vLLM the files of the index. Other formats are not read, because unpickling a
    file can run any code.
    """
    index = folder / INDEX
    if not index.exists() and not (folder / WEIGHTS).exists():
        raise Fault(f"{folder}: no weights ({WEIGHTS}); only safetensors are read. {AGAIN}")
    paths = [folder / name for name in sorted(shards_of(index))] if index.exists() else [folder / WEIGHTS]
    if missing := [path.name for path in paths if not path.is_file()]:
        raise Fault(f"{folder}: weights are missing ({', '.join(missing[:3])}). {AGAIN}")
    if (folder / WEIGHTS).exists() and folder / WEIGHTS not in paths:
        raise Fault(f"{folder}: holds {WEIGHTS} and the files of {INDEX}. Remove those that are out of date.")
    return paths


def _trainers_files(checkpoint: Path, ranks: int) -> tuple[list[Path], str | None]:
    """The optimizer, scheduler and random-state files that a checkpoint should have, and what is wrong with them."""
    random = [checkpoint / (f"rng_state_{rank}.pth" if ranks > 1 else "rng_state.pth") for rank in range(ranks)]
    latest = checkpoint / "latest"
    if not latest.exists() and not any(checkpoint.glob("global_step*")):
        return [checkpoint / "optimizer.pt", checkpoint / "scheduler.pt", *random], None
    # DeepSpeed writes its own folder, with one optimizer state a rank; the file `latest` holds the folder's name
    name = latest.read_text(encoding="utf-8", errors="replace").strip() if latest.exists() else ""
    folder = checkpoint / name
    if not is_plain_name(name) or not folder.is_dir():
        return [], "DeepSpeed's `latest` names no folder"
    optimizers, models = list(folder.glob("*optim_states.pt")), list(folder.glob("*model_states.pt"))
    if len(optimizers) != ranks or not models:
        return [], f"{folder.name} holds {len(optimizers)} optimizer states of {ranks}"
    return [*optimizers, *models, *random], None


def _whole_weights(path: Path) -> bool:
    """Whether a safetensors file is as long as its header says."""
    try:
        read_header(path)
    except (OSError, Fault):
        return False
    return True


class Header(NamedTuple):
    """The header of a safetensors file: {name: {"dtype", "shape", "data_offsets"}}, and where the data begin."""

    entries: dict[str, Any]
    begin: int  # the offset in the file from which data_offsets count

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """{name: shape} of the tensors."""
        return {name: tuple(one["shape"]) for name, one in self.entries.items() if name != METADATA}


def read_header(path: Path) -> Header:
    """Read the header of a safetensors file, but no weights. Raises Fault for another format or a truncated file."""
    whole = path.stat().st_size
    with path.open("rb") as weights:
        size = int.from_bytes(weights.read(8), "little")
        text = weights.read(size) if size <= min(MOST_HEADER, whole) else b""
    try:
        entries = loads(text)
        ends = [_end_of(entry) for name, entry in entries.items() if name != METADATA]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Fault(f"{path}: not a safetensors file, or cut short in its header. {AGAIN}") from None
    if whole != 8 + size + max(ends, default=0):
        raise Fault(f"{path}: {whole} bytes, and its header announces {8 + size + max(ends, default=0)}. {AGAIN}")
    return Header(entries, 8 + size)


def _end_of(entry: dict[str, Any]) -> int:
    """Where a tensor's data end. Raises ValueError, KeyError or TypeError when the entry does not describe a tensor."""
    numbers = [*entry["shape"], *entry["data_offsets"]]
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError("not a shape and two offsets")
    return int(entry["data_offsets"][1])


def rename_weights(checkpoint: Path) -> None:
    """Rename a checkpoint's weights to the names that they have in the model in memory.

    transformers 5.6 saves Qwen2.5-VL under its published names (visual.*, model.layers.*). It resumes by
    load_state_dict(strict=False) with the names in memory (model.visual.*, model.language_model.*). Without renaming,
    no name matches, there is only a warning, and the run continues from the base model's weights with the optimizer's
    old state (once the loss was 8.4 after step 3 instead of 6.8). DeepSpeed loads its own files and is not affected.
    from_pretrained reads both forms of names.
    """
    for path in sorted(checkpoint.glob("model*.safetensors")):
        header = read_header(path)
        renamed = {_in_memory(name): entry for name, entry in header.entries.items()}
        if renamed == header.entries:
            continue
        with path.open("rb") as weights:
            weights.seek(header.begin)
            text = json.dumps(renamed).encode()
            text += b" " * (-len(text) % 8)  # the data stays aligned; its offsets count from the header's end
            with replacing(path) as out:
                out.write(len(text).to_bytes(8, "little") + text)
                shutil.copyfileobj(weights, out, 1 << 24)
    index = checkpoint / INDEX
    if index.exists():
        content = read_json(index, AGAIN)
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
