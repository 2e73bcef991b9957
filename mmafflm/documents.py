"""A whole YAML or JSON file that a person or an earlier command wrote: its value, or a sentence why there is none."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from mmafflm.errors import Fault, UsageFault

YAML_SIZE = 1 << 20  # bytes; the longest recipe has some 3 kB


def read_yaml(path: Path, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> Any:
    """The value of a YAML file.

    An alias (*name) may repeat a value, but a value may not grow beyond the file's own limit by it.
    Raises UsageFault when the file is missing, too large, nested too deep or not YAML.
    """
    try:
        with path.open("rb") as file:
            data = file.read(YAML_SIZE + 1)
        if len(data) > YAML_SIZE:
            raise UsageFault(f"{path}: more than {YAML_SIZE:,} bytes, which no config of ours has. Give another file.")
        value = yaml.load(data.decode(), loader)  # a SafeLoader
        if _written_out(value, {}) > YAML_SIZE:
            raise UsageFault(f"{path}: its aliases write out to more than {YAML_SIZE:,} values. Take them out.")
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
    """How many values there are when every alias is written out. Raises RecursionError for one within its own value."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        inside = value if isinstance(value, list) else [*value.keys(), *value.values()]
        known[id(value)] = 1 + sum(_written_out(one, known) for one in inside)
    return known[id(value)]


def read_json(path: Path, fix: str, object_hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """The value of a JSON file. fix: a sentence. Raises Fault when it cannot be read or is not JSON."""
    return parse_json(_text(path, fix), str(path), fix, object_hook)


def _text(path: Path, fix: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Fault(f"{path}: not UTF-8 ({error.reason}). {fix}") from None
    except OSError as error:
        raise Fault(f"{path}: cannot be read ({os.strerror(error.errno or 0)}). {fix}") from None


def parse_json(text: str, name: str, fix: str, object_hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """The value of a JSON text; an integer of more digits than Python converts is the text of its digits.

    name: of the file. fix: a sentence. Raises Fault naming the line.
    """
    try:
        return json.loads(text, parse_int=_integer, object_hook=object_hook)
    except json.JSONDecodeError as error:
        raise Fault(f"{name}:{error.lineno}: not JSON at column {error.colno} ({error.msg}). {fix}") from None
    except RecursionError:
        raise Fault(f"{name}: JSON nested too deep. {fix}") from None


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= 4_000 else digits  # Python stops at 4,300
