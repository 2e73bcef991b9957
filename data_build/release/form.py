"""Read a row in either of LLaMA-Factory's two forms as its own converter does: the prompt and the answer."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmafflm.files.inside import quoted

ALPACA = {"prompt": "instruction", "query": "input", "response": "output", "history": None}
SHAREGPT = {"messages": "conversations"}
TAGS = {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt", "system_tag": "system"}


@dataclass(frozen=True)
class Turn:
    """One prompt and its answer. `images`, `videos`: file names as in the row; a clip may be a list of frames.

    `written` holds the values that our own export adds, if present: id, language, source, group, translated_from.
    """

    prompt: str
    answer: str
    system: str
    images: list[str]
    videos: list[str | list[str]]
    written: Mapping[str, str]


class Form:
    """How the rows of a file are written: an entry of dataset_info.json, completed with LLaMA-Factory's defaults."""

    def __init__(self, entry: Mapping[str, Any]) -> None:
        """Raises ValueError when "columns" or "tags" of the entry is not an object whose values are strings."""
        for part in (entry.get("columns", {}), entry.get("tags", {})):
            if not isinstance(part, dict) or not all(isinstance(one, str) for one in part.values()):
                raise ValueError("columns and tags must be objects whose values are strings")
        self.sharegpt = entry.get("formatting", "alpaca") == "sharegpt"
        self.columns = {**(SHAREGPT if self.sharegpt else ALPACA), **entry.get("columns", {})}
        self.tags = {**TAGS, **entry.get("tags", {})}

    @classmethod
    def of_row(cls, row: Any) -> "Form":
        """The form of a file without a registry entry, from its first row: alpaca, or sharegpt in either spelling."""
        if isinstance(row, dict) and "messages" in row:
            tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
            return cls({"formatting": "sharegpt", "columns": {"messages": "messages"}, "tags": tags})
        return cls({"formatting": "sharegpt"} if isinstance(row, dict) and "conversations" in row else {})

    def read(self, row: Any) -> Turn:
        """The row's single turn. Raises ValueError saying what is wrong with the row."""
        if not isinstance(row, dict):
            raise ValueError(f"expected an object, found {type(row).__name__}")
        prompt, answer, system = self._messages(row) if self.sharegpt else self._instruction(row)
        if not _is_origin(row.get("translated_from")):
            raise ValueError('translated_from is not an object of strings with the key "language"')
        return Turn(
            prompt=prompt,
            answer=answer,
            system=system,
            images=_media(row, "images", self.columns),
            videos=_media(row, "videos", self.columns),
            written={
                name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                for name in ("id", "language", "source", "group", "translated_from")
                if isinstance(value := row.get(name), str | dict) and value
            },
        )

    def _instruction(self, row: dict[str, Any]) -> tuple[str, str, str]:
        """Instruction and input joined as LLaMA-Factory joins them: by a line break if neither is empty."""
        if row.get(self.columns["history"] or "history"):
            raise ValueError("a dialogue with a history, where one question was expected")
        asked = [_text(row, self.columns[name]) for name in ("prompt", "query")]
        answer = _text(row, self.columns["response"])
        return "\n".join(part for part in asked if part), answer, _text(row, self.columns.get("system") or "system")

    def _messages(self, row: dict[str, Any]) -> tuple[str, str, str]:
        messages = row.get(self.columns["messages"])
        if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
            raise ValueError(f"{self.columns['messages']} is not a list of objects")
        said = [(message.get(self.tags["role_tag"]), _text(message, self.tags["content_tag"])) for message in messages]
        system = said.pop(0)[1] if said and said[0][0] == self.tags["system_tag"] else _text(row, "system")
        if [role for role, _ in said] != [self.tags["user_tag"], self.tags["assistant_tag"]]:
            raise ValueError(f"expected one question and one answer, found {[role for role, _ in said]}"[:200])
        return said[0][1], said[1][1], system


def _is_origin(value: Any) -> bool:
    """Whether translated_from has a form that our export writes: an object of strings, its JSON, or an empty value."""
    try:
        about = json.loads(value) if value and isinstance(value, str) else value
    except (ValueError, RecursionError):
        return False
    return not about or (
        isinstance(about, dict) and "language" in about and all(isinstance(one, str) for one in about.values())
    )


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if value is not None and not isinstance(value, str | int | float):
        raise ValueError(f"{name} is not text but {type(value).__name__}")
    return "" if value is None else str(value)


def _media(row: Mapping[str, Any], kind: str, columns: Mapping[str, Any]) -> list[Any]:
    """File names of pictures or of clips; a clip may be a list of its frames. Raises ValueError for anything else."""
    value = row.get(columns.get(kind) or kind)
    if value is None or value == "":
        return []
    found = list(value) if isinstance(value, list) else [value]
    for one in found:
        names = one if isinstance(one, list) and one and kind == "videos" else [one]
        if not all(isinstance(name, str) and name for name in names):
            raise ValueError(f"{kind} has {quoted(one)}, which is not a file name")
    return found
