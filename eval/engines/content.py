"""Write a question as a chat message with entries of text, pictures and clips; find out which of these a model accepts.

Neither needs torch: the entries come from the marks in the prompt, the modalities from the model's JSON files.
"""

import re
from typing import Any

from eval.engines import Question
from mmafflm.checkpoints import AGAIN
from mmafflm.families.find import config_of, known_family
from mmafflm.files.documents import read_json
from mmafflm.hub import file_of

TEXT, IMAGE, VIDEO = "text", "image", "video"
PROCESSOR = "processor_config.json"  # transformers 5 saves all parts of a processor in it, older versions one file each
IMAGES, VIDEOS = "preprocessor_config.json", "video_preprocessor_config.json"


def entries(question: Question) -> list[dict[str, str]]:
    """The content of the user's message, in order: {"type": "text", "text"}, {"type": "image"}, {"type": "video"}."""
    media = {"<image>": iter([IMAGE] * len(question.images)), "<video>": iter([VIDEO] * len(question.videos))}
    made: list[dict[str, str]] = []
    for piece in re.split("(<image>|<video>)", question.prompt):
        if kind := next(media[piece], None) if piece in media else None:
            made.append({"type": kind})
        elif made and made[-1]["type"] == TEXT:
            made[-1]["text"] += piece
        elif piece:
            made.append({"type": TEXT, "text": piece})
    return made


def needs(question: Question) -> set[str]:
    """The modalities that a model must accept to answer this question."""
    return {TEXT} | ({IMAGE} if question.images else set()) | ({VIDEO} if question.videos else set())


def modality(question: Question) -> str:
    """The modality that the question asks about: "video", "image" or "text"."""
    return VIDEO if question.videos else IMAGE if question.images else TEXT


def accepted_by(model: str) -> tuple[str, ...]:
    """What a model (folder or hub id) accepts: "text", and "image" and "video" if its files define an input for them.

    A hub model whose files are not in the cache is treated as a text model, unless its family is known.
    """
    config = config_of(model) or {}
    if family := known_family(config.get("model_type")):
        return (TEXT, *family.media.accepts)
    parts = {name: _json(model, name) for name in (PROCESSOR, IMAGES, VIDEOS)}
    named = {*_keys(config), *parts[PROCESSOR], *parts[IMAGES]}
    sees = {"vision_config", "image_token_id", "image_token_index", "image_processor", "image_processor_type"} & named
    films = {"video_token_id", "video_token_index", "video_processor", "video_processor_type", "video_sampling"} & named
    return (TEXT, *[IMAGE] * bool(sees), *[VIDEO] * bool(films or parts[VIDEOS]))


def _keys(config: dict[str, Any]) -> set[str]:
    """The keys of a config.json that have a value, also those of nested objects (Qwen2.5-Omni's `thinker_config`)."""
    inner = [_keys(value) for value in config.values() if isinstance(value, dict)]
    return set().union({key for key, value in config.items() if value is not None}, *inner)


def _json(model: str, name: str) -> dict[str, Any]:
    path = file_of(model, name)
    return read_json(path, AGAIN) if path else {}
