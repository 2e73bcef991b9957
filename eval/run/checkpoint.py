"""What --ckpt may name, for engines that load weights; checks that it is complete and identifies the weights.

It is a folder with a whole model (a base model, a full run, one of its checkpoint-*, a merged export), a folder with an
adapter, which needs its base (a LoRA run, or one of its checkpoint-*), or a hub id.
"""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

from mmafflm.checkpoints import AGAIN, BIN, is_whole, numbered
from mmafflm.errors import Fault
from mmafflm.files.documents import read_json
from mmafflm.hub import cached_commit
from mmafflm.media.budget import Budget
from mmafflm.records import read_jsonl
from mmafflm.run_file import POSITIONS, RUN, read_run
from mmafflm.untrusted import require_harmless

ADAPTER = "adapter_config.json"


class Checkpoint(NamedTuple):
    """model: folder or hub id of a whole model with its processor. adapter: a LoRA folder to apply to it."""

    model: str
    adapter: str | None = None

    def identity(self) -> dict[str, str | None]:
        """The entries for run.json: its path or hub id and a hash of its weights, those of the base included.

        For a model or base from the hub: also the commit, once the hub's cache has it, so call this after loading.
        """
        named = self.adapter or self.model
        parts = [Path(part) for part in (self.adapter, self.model) if part is not None and Path(part).is_dir()]
        where = str(Path(named).resolve()) if Path(named).is_dir() else named
        row = {"checkpoint": where, "weights": fingerprint(*parts) if parts else None}
        if self.adapter:
            row["base"] = self.model
        if not Path(self.model).is_dir() and (commit := cached_commit(self.model)):
            row["commit"] = commit
        return row


def find_checkpoint(ckpt: str) -> Checkpoint:
    """The checkpoint of this name. Raises Fault when a local folder is incomplete; "owner/model" is not checked."""
    folder = Path(ckpt)
    if not folder.is_dir():
        if folder.exists() or not _may_be_hub_id(ckpt):
            raise Fault(f"{ckpt}: no such checkpoint folder, and not a hub id (owner/model).")
        return Checkpoint(ckpt)
    if (folder / ADAPTER).exists() and not _weights(folder):
        return _with_base(folder)
    for name in ("config.json", "tokenizer_config.json"):
        if not (folder / name).exists():
            raise Fault(f"{ckpt}: no {name}, so this is not a checkpoint. {_advice(folder)}")
    if not _weights(folder):
        raise Fault(f"{ckpt}: no *.safetensors or {BIN}, so no weights. {_advice(folder)}")
    require_harmless(folder)
    return Checkpoint(ckpt)


def _weights(folder: Path) -> list[Path]:
    """The weight files of a whole model, without an adapter's."""
    found = [*folder.glob("*.safetensors"), *folder.glob(BIN)]
    return sorted(path for path in found if not path.name.startswith("adapter_"))


def _may_be_hub_id(name: str) -> bool:
    return not Path(name).is_absolute() and not name.startswith(".") and name.count("/") == 1


def _advice(folder: Path) -> str:
    whole = {step: path for step, path in numbered(folder).items() if is_whole(path)}
    if not whole:
        return "Name a folder that training wrote, or one of its checkpoint-*."
    return f"This run has not ended; its newest checkpoint is {whole[max(whole)]}."


def _with_base(folder: Path) -> Checkpoint:
    """An adapter with the base that its config or its run.json names, whichever exists."""
    if not any(folder.glob("adapter_model*.safetensors")):
        raise Fault(f"{folder}: {ADAPTER} and no adapter_model.safetensors, so no weights. {_advice(folder)}")
    require_harmless(folder)
    named = [read_json(folder / ADAPTER, AGAIN).get("base_model_name_or_path")]
    named += [(read_run(place) or {}).get("base") for place in (folder, folder.parent)]
    bases = list(dict.fromkeys(base for base in named if isinstance(base, str) and base))
    # an existing folder comes before a name that may be a hub id
    for base in [*filter(lambda base: Path(base).is_dir(), bases), *filter(_may_be_hub_id, bases)]:
        if Path(base).is_dir() and (Path(base) / ADAPTER).exists() and not _weights(Path(base)):
            raise Fault(f"{folder}: its base {base} is an adapter itself. Merge that first: mmafflm export.")
        return Checkpoint(find_checkpoint(base).model, str(folder))
    said = f"its base {bases[0]} is not there" if bases else "it names no base"
    raise Fault(
        f"{folder}: an adapter, and {said}. Put the base back, or write its place as base_model_name_or_path "
        f"into {ADAPTER}; an adapter needs its base."
    )


def fingerprint(*folders: Path) -> str:
    """A hash that another training changes: names, sizes and both ends of the weight files (fast even for 15 GB)."""
    seen = hashlib.sha256()
    for folder in folders:
        configs = [folder / name for name in ("config.json", ADAPTER) if (folder / name).exists()]
        for path in sorted([*folder.glob("*.safetensors"), *folder.glob(BIN), *configs]):
            size = path.stat().st_size
            with path.open("rb") as weights:
                seen.update(f"{path.name} {size}\n".encode() + weights.read(1 << 20))
                weights.seek(max(0, size - (1 << 20)))
                seen.update(weights.read())
    return seen.hexdigest()


def budget_for(ckpt: str, stored: Budget, force: bool) -> Budget:
    """The media budget under which a checkpoint is asked: what it was trained with, if the build stored that much.

    A recipe may lower the pixels of the build. `stored`: the build's budget, also that of a checkpoint without a
    run.json. Raises Fault when the checkpoint was trained with other frames or with more pixels; with `force` it is
    asked with the build's.
    """
    for folder in (Path(ckpt), Path(ckpt).parent):
        described = read_run(folder)
        if described is None:
            continue
        try:
            return stored.lowered(described.get("budget") or {})
        except ValueError as error:
            if force:
                return stored
            raise Fault(f"{folder / RUN}: trained with {error}. Use --force to ask with that.") from None
    return stored


def positions_note(ckpt: str) -> str | None:
    """A warning when a run trained on clips but did not record the positions of the text after them, else None.

    rope.py of the model's family explains the positions.
    """
    for folder in (Path(ckpt), Path(ckpt).parent):
        described = read_run(folder)
        if described is None or "finished" not in described:  # not written by mmafflm train
            continue
        if POSITIONS in described or not _had_clips(folder, described):
            return None
        return (
            f"{folder / RUN}: has no {POSITIONS}, as after an older mmafflm train, Ray or llamafactory-cli by hand: in "
            "training, the text behind clips of 7 frames and more may have stood elsewhere than where it is asked, and "
            "answers to them may suffer (docs/reference/training.md, Positions)."
        )
    return None


def _had_clips(run: Path, described: dict[str, Any]) -> bool:
    if "mix_videos" in described:
        return bool(described["mix_videos"])
    progress = run / "progress.jsonl"  # older versions: the examples seen so far
    rows = list(read_jsonl(progress, growing=True)) if progress.exists() else []
    return bool(rows) and bool(rows[-1]["seen"]["modality"].get("video"))
