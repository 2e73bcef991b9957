"""What a recipe uses from outside its run (code, data, weights), and what it sends or writes outside the run's folder.

LLaMA-Factory accepts all of these keys silently. We refuse those that would make the run differ from what `plan` and
run.json describe. For the others, `plan` and `train` print a note.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from mmafflm.errors import UsageFault
from mmafflm.train.plan.recipe_file import Config

REFUSED = {
    "trust_remote_code": "it would run the Python code of a checkpoint",
    "tokenized_path": "training would read that folder instead of --data",
    "max_samples": "the mix would be cut and its rows repeated; make a smaller one with mmaffin mix --share",
    "val_size": "it takes rows out of the training mix; set validate_every and validate_rows",
}
PATHS = ("logging_dir", "profiler_output_dir", "swanlab_logdir", "cache_dir", "offload_folder")  # where a run writes
LOCAL = ("tensorboard", "none")  # reporters that send nothing


def require_own(recipe: Path, config: Config) -> None:
    """Raises UsageFault for foreign code, for data other than --data, and for weights that the run would not save."""
    for key, why in REFUSED.items():
        if config.get(key):
            raise UsageFault(f"{recipe}: {key}: {why}. Remove the key.")
    adapters = str(config.get("adapter_name_or_path") or "")
    if adapters and (config.get("create_new_adapter") or "," in adapters):
        raise UsageFault(
            f"{recipe}: adapter_name_or_path: {adapters} would be merged into the base in memory only, and predict "
            "would not load it. Set one adapter and no create_new_adapter, or merge: mmafflm export RUN --out BASE"
        )


def reach_notes(config: Config) -> Iterator[str]:
    """A sentence for each thing that leaves the run's folder, or that training uses besides base and data."""
    if adapter := config.get("adapter_name_or_path"):
        yield f"adapter_name_or_path: training starts from the adapter {adapter}, not from the base alone."
    if config.get("push_to_hub"):
        name = config.get("hub_model_id") or f"a repository named {Path(config['output_dir']).name}"
        private = "private" if config.get("hub_private_repo") else "public unless it exists and is private"
        yield f"push_to_hub: checkpoints are uploaded to the Hugging Face Hub while training, to {name} ({private})."
    if away := [name for name in reporters_of(config) if name not in LOCAL and not _stays(name, config)]:
        yield f"report_to: the run's config and curves leave this machine, for {', '.join(away)}."
    out = Path(config["output_dir"])
    for key in PATHS:
        if key in config and not Path(config[key]).expanduser().resolve().is_relative_to(out):
            yield f"{key}: {config[key]} is outside of the run's folder, {out}."


def reporters_of(config: Config) -> list[str]:
    """The reporting services of a config."""
    named = config.get("report_to") or []
    found = [named] if isinstance(named, str) else list(named)
    return found + (["swanlab"] if config.get("use_swanlab") and "swanlab" not in found else [])


def sends_to_hub(config: Config) -> bool:
    """Whether Trackio sends its curves to a Space on the hub; otherwise they stay on this machine."""
    space = config.get("trackio_space_id") or os.environ.get("TRACKIO_SPACE_ID")
    return bool(space) and "trackio" in reporters_of(config)


def _stays(reporter: str, config: Config) -> bool:
    if reporter == "trackio":
        return not sends_to_hub(config)
    return reporter == "swanlab" and config.get("swanlab_mode") == "local"
