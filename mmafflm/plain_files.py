"""JSON and YAML files of runs and checkpoints: whatever is in them, their reader gets an object or a sentence."""

import json
from pathlib import Path
from typing import Any

import yaml

from mmafflm.errors import Fault


def read_json(path: Path, fix: str) -> dict[str, Any]:
    """The JSON object in a file. `fix` is the sentence that ends every Fault, such as "Copy the run again."

    Raises FileNotFoundError when there is no such file, Fault for everything that is not one JSON object in UTF-8.
    """
    try:
        row = parse_json(path.read_bytes())
    except (IsADirectoryError, NotADirectoryError):
        raise Fault(f"{path}: a folder, where a JSON file is expected. {fix}") from None
    except ValueError as error:
        raise Fault(f"{path}: not JSON ({error}). {fix}") from None
    if not isinstance(row, dict):
        raise Fault(f"{path}: expected a JSON object, found {type(row).__name__}. {fix}")
    return row


def read_yaml(path: Path, fix: str) -> dict[str, Any]:
    """As read_json: the `key: value` lines of a YAML file."""
    try:
        row = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError) as error:
        raise Fault(f"{path}: not YAML ({' '.join(str(error).split())}). {fix}") from None
    except RecursionError:
        raise Fault(f"{path}: not YAML that can be read (nested too deeply). {fix}") from None
    if not isinstance(row, dict) or not all(isinstance(key, str) for key in row):
        raise Fault(f"{path}: expected `key: value` lines, found {type(row).__name__}. {fix}")
    return row


def parse_json(text: bytes) -> Any:
    """What a JSON text holds. Raises ValueError for what is no JSON, too deep, or holds half a surrogate pair.

    Python's own parser reads NaN, which a trainer writes and orjson refuses. It raises RecursionError for nesting, and
    reads half a surrogate pair into a string that nothing can print or write again.
    """
    try:
        row = json.loads(text.decode("utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if rb"\ud" in text.lower():
        try:
            json.dumps(row, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ValueError("half of a surrogate pair in a string") from None
    return row
