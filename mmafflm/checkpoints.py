"""The checkpoints of a run: which is whole, and weights under the names that the trainer looks for."""

import json
import shutil
from pathlib import Path

from mmafflm.command import say
from mmafflm.records import replacing


def last_checkpoint(out: Path) -> Path | None:
    """The newest whole checkpoint. Half-written ones are renamed, for LLaMA-Factory would take them up."""
    numbered = {int(path.name[11:]): path for path in out.glob("checkpoint-*") if path.name[11:].isdecimal()}
    for number in sorted(numbered, reverse=True):
        path = numbered[number]
        if is_whole(path):
            return path
        aside = path.with_name(f"{path.name}.incomplete")
        shutil.rmtree(aside, ignore_errors=True)
        path.rename(aside)
        say(f"{path}: half-written, passed over (now {aside.name}).")
    return None


def is_whole(checkpoint: Path) -> bool:
    """The trainer writes trainer_state.json last, after weights, optimizer and random states."""
    try:
        json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    weights = [*checkpoint.glob("*.safetensors"), *checkpoint.glob("*.bin")]
    return bool(weights) and all(path.stat().st_size > 0 for path in weights)


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
