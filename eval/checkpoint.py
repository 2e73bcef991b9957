"""What may stand behind --ckpt, for the engines that read weights: is it all there, and which weights are they?"""

import hashlib
from pathlib import Path

from mmafflm.errors import Fault
from mmafflm.media import Budget
from mmafflm.run_file import RUN, read_run


def require_checkpoint(ckpt: str) -> None:
    """Raises Fault when a local folder lacks config, tokenizer or weights; "owner/model" is the hub's to judge."""
    folder = Path(ckpt)
    if not folder.is_dir():
        if folder.exists() or folder.is_absolute() or ckpt.startswith(".") or ckpt.count("/") != 1:
            raise Fault(f"{ckpt}: no such checkpoint folder, and not a hub id (owner/model).")
        return
    for name in ("config.json", "tokenizer_config.json"):
        if not (folder / name).exists():
            raise Fault(
                f"{ckpt}: no {name}, so no checkpoint. Name a folder that training wrote, or one of its checkpoint-*."
            )
    if not any(folder.glob("*.safetensors")):
        raise Fault(
            f"{ckpt}: no *.safetensors, so no weights. Name a finished checkpoint (or one of its checkpoint-*)."
        )


def identity(ckpt: str) -> dict[str, str | None]:
    """What run.json keeps of a checkpoint: where it stands, and a hash of its weights (none for a hub id)."""
    folder = Path(ckpt)
    if not folder.is_dir():
        return {"checkpoint": ckpt, "weights": None}
    return {"checkpoint": str(folder.resolve()), "weights": fingerprint(folder)}


def fingerprint(folder: Path) -> str:
    """A hash that another training changes: names, sizes and both ends of the weight files (15 GB take no time)."""
    seen = hashlib.sha256()
    for path in sorted([*folder.glob("*.safetensors"), folder / "config.json"]):
        size = path.stat().st_size
        with path.open("rb") as weights:
            seen.update(f"{path.name} {size}\n".encode() + weights.read(1 << 20))
            weights.seek(max(0, size - (1 << 20)))
            seen.update(weights.read())
    return seen.hexdigest()


def require_budget(ckpt: str, budget: Budget, force: bool) -> None:
    """Raises Fault when the checkpoint's own run.json says it was trained with another media budget."""
    for folder in (Path(ckpt), Path(ckpt).parent):
        described = read_run(folder)
        if described is None:
            continue
        trained = described.get("budget") or {}
        for name, ours in budget.to_json().items():
            if not force and trained.get(name, ours) != ours:
                raise Fault(
                    f"{folder / RUN}: trained with {name} {trained[name]}, asked with {ours}. Pass --force to go on."
                )
        return
