"""Read a recipe: YAML in LLaMA-Factory's own keys plus six of ours. Keys that we compute are refused."""

import contextlib
import difflib
import re
import reprlib
from pathlib import Path
from typing import Any

import yaml

from mmafflm.dataset import MIX
from mmafflm.errors import UsageFault
from mmafflm.files.documents import read_yaml
from mmafflm.train.plan.recipe_keys import known_keys, wrong_value
from mmafflm.train.plan.shipped import RECIPES, find

Config = dict[str, Any]

OURS = ("extends", "global_batch", "hardware", "similar_lengths", "validate_every", "validate_rows")
FRAMES = "the budget of --data, with which the build took its frames (`budget:` in the build config)"
COMPUTED = {
    "max_steps": "floor(rows of the mix / global_batch)",
    "num_train_epochs": "one epoch, by max_steps; for another, train again with --base OUT",
    "gradient_accumulation_steps": "global_batch / (per-device batch x ranks)",
    "dataloader_num_workers": "a multiple of the ranks, or 1",
    "accelerator_config": "dispatch_batches: false",
    "ray_num_workers": "--gpus x --nodes, if ray_init_kwargs is set",
    "video_fps": FRAMES,
    "video_maxlen": FRAMES,
    "dataset_dir": "--data",
    "media_dir": "--data",
    "output_dir": "--out",
    "overwrite_output_dir": "--resume",
    "resume_from_checkpoint": "--resume",
    "logging_nan_inf_filter": "false, or a NaN would be logged as the mean of the losses before it",
}
# a run's folder keeps the whole config, and people share run folders
SECRETS = ("swanlab_api_key", "swanlab_lark_secret", "swanlab_lark_webhook_url", "hf_hub_token", "ms_hub_token",
           "om_hub_token", "hub_token", "push_to_hub_token")  # fmt: skip


SECRET = re.compile(r"(api_?key|token|secret|password)$", re.I)  # secrets in a mapping, as in ray_init_kwargs


class _Loader(yaml.SafeLoader):
    """YAML as LLaMA-Factory (OmegaConf) reads it: 5e-6 is a number; YAML 1.1 would read it as text."""

    yaml_implicit_resolvers = {key: list(value) for key, value in yaml.SafeLoader.yaml_implicit_resolvers.items()}  # noqa: RUF012


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def read_recipe(recipe: Path) -> Config:
    """A recipe's keys and values, added to those of the recipe that it extends (a path relative to its own folder).

    The recipe's own values win over those that it extends; a key set to null is removed. The path of a DeepSpeed file
    is relative to the folder of the recipe that contains it. Raises UsageFault for a file that is not a recipe, for a
    key that is unknown, computed, missing or a secret, for a wrong value, and for a recipe that extends itself or a
    missing file.
    """
    recipe = find(recipe, RECIPES, "recipe")
    spec = read_keys(recipe)
    _check_ours(recipe, spec)
    return spec


def read_keys(recipe: Path, above: tuple[Path, ...] = ()) -> Config:
    """The keys of a recipe and of those that it extends, complete or not. above: the recipes that extend this one."""
    chain = (*above, recipe)
    if recipe.resolve() in [path.resolve() for path in above]:
        raise UsageFault(f"{' -> '.join(path.name for path in chain)}: a recipe cannot extend itself. Change extends.")
    spec = _own_keys(recipe)
    if isinstance(spec.get("deepspeed"), str):
        spec["deepspeed"] = str((recipe.parent / spec["deepspeed"]).resolve())
    if "extends" in spec:
        parent = recipe.parent / str(spec["extends"])
        if not parent.is_file():
            raise UsageFault(f"{recipe}: extends: {spec['extends']} does not exist (a path from the recipe's folder).")
        spec = read_keys(parent, chain) | spec
    return {key: value for key, value in spec.items() if value is not None and key != "extends"}


def _own_keys(recipe: Path) -> Config:
    """The keys of one file. Raises UsageFault when it is not a recipe, or has a forbidden key or a wrong value."""
    spec = read_yaml(recipe, _Loader)
    if not isinstance(spec, dict) or not all(isinstance(key, str) for key in spec):
        raise UsageFault(f"{recipe}: expected `key: value` lines, found {type(spec).__name__}.")
    known = known_keys().keys()
    for key, value in spec.items():
        if key in COMPUTED:
            raise UsageFault(f"{recipe}: {key} is computed ({COMPUTED[key]}). Remove the key.")
        if secret := key if key in SECRETS else _secret_below(value):
            raise UsageFault(
                f"{recipe}: {secret} is a secret, and a run's folder would keep it. Remove it; log in, or set the "
                "environment variable of its service (SWANLAB_API_KEY, WANDB_API_KEY, HF_TOKEN)."
            )
        if known and key not in known and key not in OURS:
            nearest = difflib.get_close_matches(key, [*known, *OURS], n=1)
            hint = f" Did you mean {nearest[0]}?" if nearest else ""
            raise UsageFault(f"{recipe}: LLaMA-Factory has no key {key}.{hint}")
        if isinstance(value, str) and "\0" in value:
            raise UsageFault(f"{recipe}: {key}: its text holds a NUL character. Remove it.")
        if value is not None and (expected := wrong_value(key, value)):
            raise UsageFault(f"{recipe}: {key}: {reprlib.repr(value)} is wrong: LLaMA-Factory expects {expected}.")
    return spec


def _secret_below(value: Any) -> str | None:
    """The first key of a secret anywhere in a value; None if it has none. The value may be a mapping as JSON text."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        with contextlib.suppress(yaml.YAMLError, ValueError, RecursionError):
            value = yaml.safe_load(value)
    if isinstance(value, list):
        return next((found for one in value if (found := _secret_below(one))), None)
    if not isinstance(value, dict):
        return None
    named = [str(key) for key, one in value.items() if SECRET.search(str(key)) and isinstance(one, str) and one]
    return named[0] if named else _secret_below(list(value.values()))


def _check_ours(recipe: Path, spec: Config) -> None:
    if spec.get("hardware", "gpu") not in ("gpu", "cpu"):
        raise UsageFault(f"{recipe}: hardware must be gpu or cpu, not {spec['hardware']}.")
    for key in ("global_batch", "per_device_train_batch_size"):
        if type(spec.get(key)) is not int or spec[key] < 1:
            raise UsageFault(f"{recipe}: {key} is missing, or is not a whole number of 1 or more.")
    if type(similar := spec.get("similar_lengths", False)) is not bool:
        raise UsageFault(f"{recipe}: similar_lengths must be true or false, not {similar}.")
    if similar and not spec.get("streaming"):
        raise UsageFault(f"{recipe}: similar_lengths needs a mix that is streamed. Set streaming: true.")
    _check_validation(recipe, spec)
    several = str(spec.get("dataset", MIX)) != MIX or spec.keys() & {"mix_strategy", "interleave_probs"}
    if several:
        raise UsageFault(
            f"{recipe}: dataset, mix_strategy and interleave_probs cannot be set in a recipe: concat does not mix "
            "while streaming and interleaving repeats or drops rows. Mix with: mmaffin mix --data DATA --mix FILE"
        )


def _check_validation(recipe: Path, spec: Config) -> None:
    keys = ("validate_every", "validate_rows")
    given = [spec[key] for key in keys if key in spec]
    if not given:
        return
    save = spec.get("save_steps", 500)
    if len(given) < 2 or any(type(value) is not int or value < 1 for value in (*given, save)) or given[0] % save:
        raise UsageFault(
            f"{recipe}: validate_every must be a multiple of save_steps ({save}), because checkpoints are validated, "
            "and validate_rows must be a number of records, 1 or more. Set both, or neither."
        )
