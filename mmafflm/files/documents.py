"""Read a whole YAML or JSON file that a person or an earlier command wrote, or raise a Fault that says why not."""

import json
import os
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from mmafflm.errors import Fault, UsageFault

ObjectHook = Callable[[dict[str, Any]], Any]
YAML_SIZE = 1 << 20  # bytes; our longest recipe has about 3 kB


def read_yaml(path: Path, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> Any:
    """The value of a YAML file.

    An alias (*name) may repeat a value, but with all aliases expanded there may be at most YAML_SIZE values.
    Raises UsageFault when the file is missing, cannot be read, is too large, is nested too deeply or is not YAML.
    """
    try:
        with path.open("rb") as file:
            data = file.read(YAML_SIZE + 1)
        if len(data) > YAML_SIZE:
            raise UsageFault(f"{path}: more than {YAML_SIZE:,} bytes, too large for a config. Give another file.")
        value = yaml.load(data.decode(), loader)  # a SafeLoader
        if _written_out(value, {}) > YAML_SIZE:
            raise UsageFault(f"{path}: its aliases expand to more than {YAML_SIZE:,} values. Remove them.")
    except FileNotFoundError:
        raise UsageFault(f"{path}: no such file") from None
    except OSError as error:
        raise UsageFault(f"{path}: cannot be read ({os.strerror(error.errno or 0)}). Give another file.") from None
    except RecursionError:
        raise UsageFault(f"{path}: nested too deep, or an alias in its own value. Give another file.") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8, a date of 2024-13-45, 5,000 digits
        raise UsageFault(f"{path}: not YAML ({' '.join(str(error).split())}).") from None
    return value


def _written_out(value: Any, known: dict[int, int]) -> int:
    """The number of values with every alias expanded. Raises RecursionError for an alias inside its own value."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        inside = value if isinstance(value, list) else [*value.keys(), *value.values()]
        known[id(value)] = 1 + sum(_written_out(one, known) for one in inside)
    return known[id(value)]


def read_settings(path: Path, fix: str) -> dict[str, Any]:
    """The `key: value` lines of a YAML file that an earlier command wrote. Raises a Fault that ends with `fix`."""
    try:
        row = read_yaml(path)
    except UsageFault as fault:
        raise Fault(f"{fault} {fix}") from None
    if not isinstance(row, dict) or not all(isinstance(key, str) for key in row):
        raise Fault(f"{path}: expected `key: value` lines, found {type(row).__name__}. {fix}")
    return row


def read_json(path: Path, fix: str, object_hook: ObjectHook | None = None) -> dict[str, Any]:
    """The JSON object in a file. `fix` is the sentence that ends every Fault, such as "Copy the run again."

    Raises FileNotFoundError when there is no such file, Fault for anything other than one JSON object in UTF-8.
    """
    try:
        row = loads(path.read_bytes(), object_hook)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Fault(f"{path}: cannot be read as a JSON file ({os.strerror(error.errno or 0)}). {fix}") from None
    except ValueError as error:
        raise Fault(f"{path}: not JSON ({error}). {fix}") from None
    if not isinstance(row, dict):
        raise Fault(f"{path}: expected a JSON object, found {type(row).__name__}. {fix}")
    return row


def first_wrong(error: ValidationError, *above: str) -> str:
    """The first wrong key, prefixed with the keys `above`, and why it is wrong: "a.b: Field required".

    An unknown key comes before a missing one, because a typo in a key causes both.
    """
    found = sorted(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    first, lacking = found[0], [str(one["loc"][-1]) for one in found if one["type"] == "missing"]
    where = ".".join(map(str, (*above, *first["loc"])))
    if first["type"] != "extra_forbidden":
        return f"{where}: {first['msg']}"
    meant = get_close_matches(str(first["loc"][-1]), lacking, 1)
    return f"{where}: unknown key" + (f" (do you mean {meant[0]}?)" if meant else "")


def loads(text: bytes, object_hook: ObjectHook | None = None) -> Any:
    """The value of a JSON text. Raises ValueError for invalid JSON, for too deep nesting, and for a lone surrogate.

    Python's own parser is used because it reads NaN, which a trainer writes and orjson refuses. But it raises
    RecursionError for deep nesting, and reads half a surrogate pair into a string that cannot be printed or written.
    """
    try:
        row = json.loads(text.decode("utf-8"), object_hook=object_hook)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if rb"\ud" in text.lower():
        try:
            json.dumps(row, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ValueError("half of a surrogate pair in a string") from None
    return row


def parse_json(text: str, name: str, fix: str) -> Any:
    """The value of a JSON text. An integer with more digits than Python converts is returned as a string of its digits.

    name: the name of the file. fix: the sentence that ends a Fault. Raises Fault for other text; for a syntax error it
    names the line.
    """
    try:
        return json.loads(text, parse_int=_integer)
    except json.JSONDecodeError as error:
        raise Fault(f"{name}:{error.lineno}: not JSON at column {error.colno} ({error.msg}). {fix}") from None
    except RecursionError:
        raise Fault(f"{name}: JSON nested too deep. {fix}") from None


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= 4_000 else digits  # Python refuses more than 4,300
