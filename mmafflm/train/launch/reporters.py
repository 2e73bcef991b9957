"""Services that receive the Trainer's curves besides TensorBoard, and what each needs on this machine before a launch.

Without this check a run ends in a traceback once the model is loaded, because the trainer has no terminal on which it
could ask for a key. We read no key: we only check that a variable is set, or that a file with a login exists.
"""

import importlib.util
import os
from pathlib import Path
from typing import NamedTuple

from mmafflm.train.launch.tensorboard import TRAINER
from mmafflm.train.plan.plan import Plan
from mmafflm.train.plan.recipe_file import Config
from mmafflm.train.plan.recipe_reach import reporters_of, sends_to_hub

BOARD = "tensorboard"  # below OUT


class Login(NamedTuple):
    """How to log in to a service: variables, one of which is enough; files with logins; how to run without a login."""

    variables: tuple[str, ...]
    files: tuple[str, ...]
    mode: str
    away: tuple[str, ...]  # values of `mode` that need no login
    how: str


WANDB = Login(("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"),
              ("~/.netrc", "~/_netrc", "$NETRC", "~/.config/wandb/settings", "$WANDB_CONFIG_DIR/settings"),
              "WANDB_MODE", ("offline", "disabled", "dryrun"),
              "Set WANDB_API_KEY, run wandb login, or set WANDB_MODE=offline")  # fmt: skip
SWANLAB = Login(("SWANLAB_API_KEY",), ("~/.swanlab", ".swanlab", "$SWANLAB_SAVE_DIR"),
                "SWANLAB_MODE", ("local", "offline", "disabled"),
                "Set SWANLAB_API_KEY, run swanlab login, or set SWANLAB_MODE=local")  # fmt: skip
SPACE = Login(("HF_TOKEN",), ("~/.cache/huggingface/token", "$HF_HOME/token", "$HF_TOKEN_PATH"), "", (),
              "Set HF_TOKEN, run hf auth login, or remove trackio_space_id to stay on this machine")  # fmt: skip


def reporter_faults(plan: Plan, node_rank: int = 0) -> list[str]:
    """What the recipe's reporters lack on this machine, one sentence each.

    Only node 0 needs a login; every node needs the package.
    """
    found = []
    for name in reporters_of(plan.config):
        login = _login(name, plan.config)
        if name in ("tensorboard", "wandb", "swanlab", "trackio") and importlib.util.find_spec(name) is None:
            found.append(f"{plan.recipe}: report_to {name}: not installed. Run: pip install {name}")
        elif login and node_rank == 0 and not _logged_in(login):
            found.append(f"{plan.recipe}: report_to {name}: not logged in on this machine. {login.how}.")
    return found


def environment(plan: Plan, out: Path) -> dict[str, str]:
    """Settings for the trainer that its config cannot hold: the folders of TensorBoard's and W&B's files in OUT."""
    env = {"TENSORBOARD_LOGGING_DIR": str(out.resolve() / BOARD / TRAINER)}
    return env | ({"WANDB_DIR": str(out.resolve())} if "wandb" in reporters_of(plan.config) else {})


def _login(name: str, config: Config) -> Login | None:
    if name == "swanlab":
        return None if config.get("swanlab_mode") == "local" else SWANLAB
    if name == "trackio":
        return SPACE if sends_to_hub(config) else None
    return WANDB if name == "wandb" else None


def _logged_in(login: Login) -> bool:
    if login.mode and os.environ.get(login.mode, "").lower() in login.away:
        return True
    files = [os.path.expandvars(file) for file in login.files]
    kept = any(Path(file).expanduser().exists() for file in files if "$" not in file)  # a "$" is left if not set
    return kept or any(os.environ.get(name) for name in login.variables)
