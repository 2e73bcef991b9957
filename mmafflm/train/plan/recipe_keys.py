"""LLaMA-Factory's keys and the types of their values, read from its source code and that of transformers.

Reading the source takes 0.1 s; importing the dataclasses imports torch and takes 10 s. LLaMA-Factory itself does not
check types in a YAML file: `learning_rate: fast` fails when the optimizer is made, minutes after the launch.
"""

import ast
import importlib.util
from collections.abc import Iterator
from functools import cache, reduce
from operator import or_
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

# The files with the dataclasses of a training config, and those with the enumerations that their types refer to.
KEYS = (("llamafactory", "hparams", "*_args.py"), ("transformers", ".", "training_args*.py"))
NAMES = (
    ("llamafactory", "extras", "constants.py"),
    ("transformers", ".", "training_args.py"),
    ("transformers", ".", "trainer_utils.py"),
    ("transformers", ".", "debug_utils.py"),
)
OTHERS = {"EvaluationArguments"}  # dataclasses of another command
PLAIN = {"bool": bool, "int": int, "float": float, "str": str, "list": list, "dict": dict, "None": None}
STRICT = ConfigDict(strict=True, allow_inf_nan=False)


@cache
def known_keys() -> dict[str, Any]:
    """{key: type of its values} of a training config; empty when LLaMA-Factory is not installed."""
    enums = {name: values for tree in _trees(NAMES) for name, values in _enums(tree)}
    return {key: _type(kind, enums) for tree in _trees(KEYS) for key, kind in _fields(tree)}


def wrong_value(key: str, value: Any) -> str | None:
    """What LLaMA-Factory expects for a key if this value is wrong, else None. Strict: "3" in quotes is not a number."""
    try:
        TypeAdapter(known_keys().get(key, Any), config=STRICT).validate_python(value)
    except ValidationError as error:
        return " or ".join(dict.fromkeys(one["msg"].removeprefix("Input should be ") for one in error.errors()))
    return None


def _trees(places: tuple[tuple[str, str, str], ...]) -> Iterator[ast.Module]:
    for package, folder, pattern in places:
        spec = importlib.util.find_spec(package)
        if spec and spec.submodule_search_locations:
            for path in sorted((Path(next(iter(spec.submodule_search_locations))) / folder).glob(pattern)):
                yield ast.parse(path.read_text(encoding="utf-8"))


def _fields(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """The fields of all dataclasses that a config can set, with their type annotations."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name not in OTHERS:
            for item in node.body:
                if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name) and not _is_inner(item.value):
                    yield item.target.id, item.annotation


def _is_inner(value: ast.expr | None) -> bool:
    """Whether the field has init=False: LLaMA-Factory sets it, and no config can."""
    return isinstance(value, ast.Call) and any(
        one.arg == "init" and isinstance(one.value, ast.Constant) and one.value.value is False for one in value.keywords
    )


def _enums(tree: ast.Module) -> Iterator[tuple[str, Any]]:
    """The enumerations with text values, each as the Literal of its values."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("Enum") for base in node.bases):
            assigned = [item.value for item in node.body if isinstance(item, ast.Assign)]
            values = [one.value for one in assigned if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            if values:
                yield node.name, Literal[tuple(values)]


def _type(node: ast.expr, enums: dict[str, Any]) -> Any:
    """An annotation as a type; Any for a name that is neither a built-in type nor an enumeration."""
    match node:
        case ast.Constant(value=None):
            return None
        case ast.Constant(value=str(text)):
            return _type(ast.parse(text, mode="eval").body, enums)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _union([left, right], enums)
        case ast.Subscript(value=ast.Name(id="Optional"), slice=inner):
            return _union([inner, ast.Constant(None)], enums)
        case ast.Subscript(value=ast.Name(id="Union"), slice=ast.Tuple(elts=parts)):
            return _union(parts, enums)
        case ast.Subscript(value=ast.Name(id="Literal"), slice=inner):
            return Literal[ast.literal_eval(inner)]
        case ast.Subscript(value=ast.Name(id="list" | "List"), slice=inner):
            return list[_type(inner, enums)]  # type: ignore[misc]  # a type that is known only at run time
        case ast.Subscript(value=ast.Name(id="dict" | "Dict"), slice=ast.Tuple(elts=[key, value])):
            return dict[_type(key, enums), _type(value, enums)]  # type: ignore[misc]  # as above
        case ast.Name(id=name):
            return enums.get(name, PLAIN.get(name, Any))
    return Any


def _union(parts: list[ast.expr], enums: dict[str, Any]) -> Any:
    """Either type. Next to an enumeration, `str` means one of the enumeration's values, not any text."""
    flat = [one for part in parts for one in _alternatives(part)]
    if any(isinstance(one, ast.Name) and one.id in enums for one in flat):
        flat = [one for one in flat if not (isinstance(one, ast.Name) and one.id == "str")]
    kinds = [_type(one, enums) for one in flat]
    return Any if Any in kinds else reduce(or_, kinds)


def _alternatives(node: ast.expr) -> list[ast.expr]:
    """a | b | c as [a, b, c]."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return [*_alternatives(node.left), *_alternatives(node.right)]
    return [node]
