"""Refuse an untrusted model folder with invalid JSON, Python code of its own, or names that lead out of the folder.

We load every model with trust_remote_code=False. Otherwise transformers 5.6 asks on the terminal whether to run a
checkpoint's Python code. It also saves each of a tokenizer's chat templates in a file with the template's name.
"""

from pathlib import Path
from typing import Any

from mmafflm.checkpoints import AGAIN, is_plain_name
from mmafflm.errors import Fault
from mmafflm.files.documents import read_json

CONFIG = "config.json"
READ = (  # the JSON files that transformers and PEFT read, besides the weights' index and tokenizer.json
    *(CONFIG, "generation_config.json", "adapter_config.json", "tokenizer_config.json", "special_tokens_map.json"),
    *("added_tokens.json", "processor_config.json", "preprocessor_config.json", "video_preprocessor_config.json"),
    "chat_template.json",
)
TEMPLATES = "chat_template"
ADDITIONAL = "additional_chat_templates"


def require_harmless(folder: Path) -> None:
    """Raises Fault for unreadable JSON, for the folder's own Python code, and for names that lead out of the folder.

    Call it before transformers reads the folder, and so before anything that was read is saved.
    """
    for name in READ:
        if not (folder / name).exists():
            continue
        row = read_json(folder / name, AGAIN)
        if row.get("auto_map") and not _is_known(folder):
            raise Fault(
                f"{folder / name}: needs the checkpoint's own Python code (auto_map), which is never run here, "
                "and transformers does not know this architecture itself. Use another checkpoint: there is often one "
                "in transformers' own form, with a name that ends in -hf."
            )
        _require_template_names(folder / name, row.get(TEMPLATES))
    for path in sorted((folder / ADDITIONAL).glob("*.jinja")):
        _require_template_name(path, path.name.removesuffix(".jinja"))


def _is_known(folder: Path) -> bool:
    """Whether transformers has its own code for this folder's model, in which case it ignores auto_map."""
    from transformers import CONFIG_MAPPING  # seconds to import

    settings = read_json(folder / CONFIG, AGAIN) if (folder / CONFIG).exists() else {}
    return settings.get("model_type") in CONFIG_MAPPING


def _require_template_names(path: Path, templates: Any) -> None:
    """`templates`: one template, {name: template}, or [{"name", "template"}], as transformers writes or once wrote."""
    if templates is None or isinstance(templates, str):
        return
    names = list(templates) if isinstance(templates, dict) else []
    if isinstance(templates, list):
        names = [one.get("name") if isinstance(one, dict) else None for one in templates]
    if not names:
        raise Fault(f"{path}: {TEMPLATES} is neither a template nor templates with names. {AGAIN}")
    for name in names:
        _require_template_name(path, name)


def _require_template_name(path: Path, name: Any) -> None:
    if not isinstance(name, str) or not is_plain_name(name):
        raise Fault(
            f"{path}: names a chat template {name!r:.80}. transformers would save it under that name, which must "
            "not lead elsewhere. Rename the template, or use another checkpoint."
        )
