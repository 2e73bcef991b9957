"""The shipped recipes, and copies of them with keys changed."""

from pathlib import Path

import yaml

from tests.paths import ROOT

RECIPES = ROOT / "train_configs"
NAMES = sorted(path.name for path in RECIPES.glob("*.yaml"))
PAPER = RECIPES / "llamafactory/paper-as-run.yaml"


def recipe_with(folder: Path, name: str = "nano.yaml", **changes: object) -> Path:
    """A copy of a shipped recipe with keys changed; None removes a key. Nano takes steps of 16, 8 at a time."""
    steps = {"global_batch": 16, "per_device_train_batch_size": 8} if name == "nano.yaml" else {}
    spec = yaml.safe_load((RECIPES / name).read_text()) | steps | changes
    for key in ("deepspeed", "extends"):
        if isinstance(spec.get(key), str):
            spec[key] = str(RECIPES / spec[key])
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(spec))  # null also removes the base recipe's key
    return path
