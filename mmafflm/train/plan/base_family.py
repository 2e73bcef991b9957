"""Check that the base model belongs to a supported family, and that the recipe's settings fit that family."""

from pathlib import Path

from mmafflm.errors import UsageFault
from mmafflm.families.base import Family
from mmafflm.families.find import built_for, config_of, family_of_base, family_with
from mmafflm.train.plan.recipe_file import Config
from mmafflm.train.plan.token_counts import MixCounts


def choose_family(recipe: Path, config: Config, notes: list[str]) -> Family:
    """Return the family of the base model, and set the keys in `config` that the family needs.

    Raises UsageFault when the recipe's template belongs to another family, or when the recipe changes a key that the
    family needs; Fault for a base that no family covers.
    """
    family = _family(recipe, config, notes)
    for key, value in family.keys.items():
        if config.get(key, value) != value:
            raise UsageFault(
                f"{recipe}: {key}: {config[key]}, but {family.name} needs {value}. Otherwise training would "
                "prepare media differently than evaluation. Remove the key."
            )
    config |= {"template": family.template, **family.keys}
    return family


def _family(recipe: Path, config: Config, notes: list[str]) -> Family:
    base, template = str(config["model_name_or_path"]), config.get("template")
    known = family_of_base(base)
    if known is None:
        found = family_with(template) if template else built_for()
        if found is None:
            raise UsageFault(f"{recipe}: template: {template} belongs to no supported family. Remove the key.")
        why = (
            "its config.json is not on this machine" if config_of(base) is None else "its config.json has no model_type"
        )
        notes.append(f"{base}: {why}, so we assume that it is {found.name}.")
        return found
    if template not in (None, known.template):
        raise UsageFault(
            f"{recipe}: template: {template}, but {base} is {known.name}, which is trained with {known.template}. "
            "Remove the key."
        )
    return known


def require_accepted(recipe: Path, family: Family, mix: MixCounts) -> None:
    """Raises UsageFault when the mix holds pictures or clips and the family does not accept them."""
    for kind, name, count in (("image", "pictures", mix.images), ("video", "clips", mix.videos)):
        if count and kind not in family.media.accepts:
            kinds = ", ".join(["text", *family.media.accepts])
            raise UsageFault(
                f"{recipe}: {family.name} takes no {name}, and {count} records of the mix hold some. Make a mix "
                f"without them: mmaffin mix --data DATA --mix FILE --out OTHER, with modalities: [{kinds}] in FILE "
                "(train_configs/experiments/mixes/without-video.yaml has text and pictures); then plan with "
                "--data OTHER."
            )
