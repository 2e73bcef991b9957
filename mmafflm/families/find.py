"""Find the family of a model. Every other module in this folder is a family: NAME.py, or NAME/family.py."""

from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from mmafflm import families as room
from mmafflm.checkpoints import AGAIN
from mmafflm.errors import Fault
from mmafflm.families.base import Architecture, Family
from mmafflm.files.documents import read_json
from mmafflm.hub import file_of

NOT_FAMILIES = ("base", "decoder", "find", "qwen_clips")
BUILT_FOR = "qwen2_5_vl"  # the build scales media and counts tokens for this model type


@cache
def families() -> tuple[Family, ...]:
    """All families, in the order of their file names. Loaded at the first call; none of them imports torch."""
    found = sorted((one.name, one.ispkg) for one in iter_modules(room.__path__) if one.name not in NOT_FAMILIES)
    modules = [import_module(f"{room.__name__}.{name}{'.family' * folder}") for name, folder in found]
    return tuple(module.FAMILY for module in modules)


def family_of(model_type: object, where: str = "This model") -> Family:
    """The family that covers a config.json's `model_type`. Raises Fault, which names `where`, for an unknown one."""
    if family := known_family(model_type):
        return family
    known = ", ".join(sorted(one for family in families() for one in family.model_types))
    raise Fault(
        f"{where}: its model_type is {model_type}, which is not supported; supported are {known}. "
        "Choose another model, or add its family (mmafflm/families/README.md)."
    )


def known_family(model_type: object) -> Family | None:
    """The family that covers a config.json's `model_type`; None for an unknown one."""
    return next((family for family in families() if model_type in family.model_types), None)


def built_for() -> Family:
    """The family whose budget rules and token counts a build uses."""
    return family_of(BUILT_FOR)


def family_of_base(base: str) -> Family | None:
    """The family of a base model; None when its config.json or model_type is unknown.

    Raises Fault when no family covers its model_type.
    """
    config = config_of(base)
    return family_of(config["model_type"], base) if config and "model_type" in config else None


def likely_family(base: str) -> Family:
    """The family of a base model, or the one that builds are for when its config.json or model_type is unknown."""
    return family_of_base(base) or built_for()


def family_with(template: str) -> Family | None:
    """The first family with this template of LLaMA-Factory; the family that builds are for comes first."""
    return next((one for one in (built_for(), *families()) if one.template == template), None)


def architecture_of(base: str) -> Architecture | None:
    """The sizes of a base model; None when its config.json, its model_type or one of the sizes is missing.

    Raises Fault for a model that no family covers, and for a config.json with values of a wrong type.
    """
    found = _sizes(base)
    return found if isinstance(found, Architecture) else None


def why_no_sizes(base: str) -> str:
    """Why `architecture_of` finds no sizes, as the beginning of a sentence."""
    return str(_sizes(base))


def _sizes(base: str) -> Architecture | str:
    config, family = config_of(base), family_of_base(base)
    if config is None:
        return f"no config.json of {base} is on this machine"
    if family is None:
        return f"the config.json of {base} has no model_type"
    try:
        return family.architecture(config)
    except KeyError as error:
        return f"the config.json of {base} has no {error.args[0]}, or a value that {family.name} does not support"
    except (ValueError, TypeError, AttributeError, ArithmeticError) as error:
        raise Fault(f"{Path(base) / 'config.json'}: not the sizes of a model ({error}). {AGAIN}") from None


def config_of(base: str) -> dict[str, Any] | None:
    """The config.json of a base model, from its folder or the hub's cache, else the family's `published`, else None."""
    if path := file_of(base, "config.json"):
        return read_json(path, AGAIN)
    published = [(name, config) for family in families() for name, config in family.published.items()]
    return next((dict(config) for name, config in published if _last(name) == _last(base)), None)


def _last(name: str) -> str:
    return name.rpartition("/")[2]
