"""The values of --ckpt for engines that load weights: checks that a checkpoint is complete, and identifies its weights.

A checkpoint is a folder with a whole model (a base model, a full run, one of its checkpoint-*, a merged export), a
folder with an adapter, which needs its base (a LoRA run, or one of its checkpoint-*), or a hub id.
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
    """model: folder or hub id of a whole model with its processor. adapter: folder of a LoRA adapter for this model."""

    model: str
    adapter: str | None = None

    def identity(self) -> dict[str, str | None]:
        """The entries for run.json: path or hub id, a hash of the local weights, and the base of an adapter.

        For a model or base from the hub also the commit, if the hub's cache has it. So call this after loading.
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
    """The checkpoint of this path or hub id. A hub id ("owner/model") is not checked.

    Raises Fault for a path that does not exist, an incomplete folder, an adapter without its base, and a folder that
    require_harmless() refuses.
    """
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
    """The weight files of a whole model. Those of an adapter are left out."""
    found = [*folder.glob("*.safetensors"), *folder.glob(BIN)]
    return sorted(path for path in found if not path.name.startswith("adapter_"))


def _may_be_hub_id(name: str) -> bool:
    return not Path(name).is_absolute() and not name.startswith(".") and name.count("/") == 1


def _advice(folder: Path) -> str:
    whole = {step: path for step, path in numbered(folder).items() if is_whole(path)}
    if not whole:
        return "Use a folder that training wrote, or one of its checkpoint-* folders."
    return f"This run has not ended; its newest checkpoint is {whole[max(whole)]}."


def _with_base(folder: Path) -> Checkpoint:
    """An adapter with its base, from its config or run.json. A base in an existing folder comes before a hub id."""
    if not any(folder.glob("adapter_model*.safetensors")):
        raise Fault(f"{folder}: {ADAPTER} and no adapter_model.safetensors, so no weights. {_advice(folder)}")
    require_harmless(folder)
    named = [read_json(folder / ADAPTER, AGAIN).get("base_model_name_or_path")]
    named += [(read_run(place) or {}).get("base") for place in (folder, folder.parent)]
    bases = list(dict.fromkeys(base for base in named if isinstance(base, str) and base))
    # a relative path of two parts looks like a hub id, so existing folders come first
    for base in [*filter(lambda base: Path(base).is_dir(), bases), *filter(_may_be_hub_id, bases)]:
        if Path(base).is_dir() and (Path(base) / ADAPTER).exists() and not _weights(Path(base)):
            raise Fault(f"{folder}: its base {base} is an adapter itself. Merge that first: mmafflm export.")
        return Checkpoint(find_checkpoint(base).model, str(folder))
    said = f"its base {bases[0]} does not exist" if bases else "its files name no base"
    raise Fault(
        f"{folder}: an adapter needs its base, but {said}. Restore the base, or write its path as "
        f"base_model_name_or_path into {ADAPTER}."
    )


def fingerprint(*folders: Path) -> str:
    """A hash of the names, sizes and both ends of the weight and config files. Fast even for 15 GB.

    Another training changes the hash.
    """
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
    """The media budget for evaluating a checkpoint: the budget of its training, if the build stored that many pixels.

    A recipe may lower the pixels of the build. stored: the build's budget, which is also used for a checkpoint without
    a run.json. If the training had other frames or more pixels, raises Fault, or returns `stored` with `force`.
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
            raise Fault(
                f"{folder / RUN}: trained with {error}. Use --force to evaluate with the data's budget."
            ) from None
    return stored


def positions_note(ckpt: str) -> str | None:
    """A warning if a run trained on clips but did not record the position ids of the text after them, else None.

    rope.py of the model's family explains these positions.
    """
    for folder in (Path(ckpt), Path(ckpt).parent):
        described = read_run(folder)
        if described is None or "finished" not in described:  # this run.json was not written by mmafflm train
            continue
        if POSITIONS in described or not _had_clips(folder, described):
            return None
        return (
            f"{folder / RUN}: has no {POSITIONS}, as after an older mmafflm train, Ray or llamafactory-cli by hand. In "
            "training, the text after clips of 7 frames and more may have had other positions than in this evaluation, "
            "so answers about such clips may be worse (docs/reference/training.md, Positions)."
        )
    return None


def _had_clips(run: Path, described: dict[str, Any]) -> bool:
    if "mix_videos" in described:
        return bool(described["mix_videos"])
    progress = run / "progress.jsonl"  # older versions only wrote the training examples processed so far
    rows = list(read_jsonl(progress, growing=True)) if progress.exists() else []
    return bool(rows) and bool(rows[-1]["seen"]["modality"].get("video"))
