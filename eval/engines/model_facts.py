"""Facts about a local or hub model that the engines find out without torch, and what run.json records of it."""

import hashlib
from pathlib import Path
from typing import Any

from mmafflm.families.base import Family
from mmafflm.families.find import config_of, known_family
from mmafflm.hub import file_of, require_hub_base, settings_of

OWN_TEMPLATE = "the checkpoint's own"
PARTS = ("tokenizer", "image_processor", "video_processor")


def find_settings(model: str) -> None:
    """Download the settings of a hub model that is not in the cache. Raises Fault when this is not possible."""
    if not Path(model).is_dir() and file_of(model, "config.json") is None:
        require_hub_base(model)
        settings_of(model)


def marked_family(model: str) -> Family | None:
    """The model's family, if we write its prompts and positions ourselves; None for every other model."""
    family = known_family((config_of(model) or {}).get("model_type"))
    return family if family and family.positions is not None else None


def family_that_writes(model: str) -> Family | None:
    """The model's family, if its prompts are written as in training and not by the checkpoint's own template."""
    family = known_family((config_of(model) or {}).get("model_type"))
    return family if family and (family.positions is not None or family.chat_template) else None


def template_name(given: str | None, family: Family | None) -> str:
    """The name of the template for prompts: a given one, LLaMA-Factory's of `family`, or the checkpoint's own."""
    if given is not None:
        return f"given, sha256 {hashlib.sha256(given.encode()).hexdigest()}"
    return family.template if family else OWN_TEMPLATE


def facts(model_type: str, reader: Any, template: str) -> dict[str, Any]:
    """The model's type, the classes that read its input, and the hash of its chat template.

    reader: its processor, or the tokenizer of a model that accepts only text.
    """
    parts = {name: getattr(reader, name, None) for name in PARTS} | {"processor": reader}
    return {
        "type": model_type,
        "processors": {name: type(part).__name__ for name, part in parts.items() if part is not None},
        "chat_template_sha256": hashlib.sha256(template.encode()).hexdigest(),
    }
