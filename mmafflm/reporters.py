"""Where the Trainer sends its curves besides TensorBoard: is the package here, and where does it keep its files?"""

import importlib.util
from pathlib import Path

from mmafflm.events import TRAINER
from mmafflm.recipe import Plan
from mmafflm.recipe_reach import reporters_of

BOARD = "tensorboard"  # below OUT


def reporter_faults(plan: Plan) -> list[str]:
    """What the recipe's reporters lack on this machine, a sentence each."""
    return [
        f"{plan.recipe}: report_to {name}: not installed. Run: pip install {name}"
        for name in reporters_of(plan.config)
        if name in ("tensorboard", "wandb", "swanlab", "trackio") and importlib.util.find_spec(name) is None
    ]


def environment(plan: Plan, out: Path) -> dict[str, str]:
    """What the trainer must be told outside its config: where a service keeps its files, below OUT."""
    env = {"TENSORBOARD_LOGGING_DIR": str(out.resolve() / BOARD / TRAINER)}
    return env | ({"WANDB_DIR": str(out.resolve())} if "wandb" in reporters_of(plan.config) else {})
