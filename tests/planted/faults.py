"""The small faults that can be planted in a Python file: one operator, number, constant or statement is another."""

import ast
import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

SWAPS: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.FloorDiv: ast.Mult, ast.Div: ast.Mult,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}


class Planted(NamedTuple):
    """A fault: the line, what stood there and what stands there now, and the whole text of the file with it."""

    line: int
    before: str
    after: str
    text: str


def number_of_faults(source: str) -> int:
    """How many faults can be planted in a source. Annotations, words and raised exceptions stay as they are."""
    return sum(1 for _ in _places(ast.parse(source)))


def plant(source: str, number: int) -> Planted:
    """The fault with this number, from 0."""
    tree = ast.parse(source)
    node, field = list(_places(tree))[number]
    before = ast.unparse(node)
    _change(node, field)
    return Planted(node.lineno, before, ast.unparse(node), ast.unparse(ast.fix_missing_locations(tree)))


def _places(tree: ast.AST) -> Iterator[tuple[Any, str]]:
    """The nodes that can be changed, and how; always in the same order."""
    match tree:
        case ast.Compare(ops=[op]) if type(op) in SWAPS:
            yield tree, "ops"
        case ast.BoolOp():
            yield tree, "op"
        case ast.BinOp(op=op, left=left, right=right) if type(op) in SWAPS and not _words(left) and not _words(right):
            yield tree, "op"
        case ast.UnaryOp(op=ast.Not()):
            yield tree, "not"
        case ast.Constant(value=bool() | int() | float()):
            yield tree, "value"
        case ast.Call(func=ast.Name(id=name)) if name in NAMES:
            yield tree, "name"
        case ast.Expr(value=ast.Call()) | ast.AugAssign():
            yield tree, "drop"
        case ast.If(test=ast.Name(id="TYPE_CHECKING")) | ast.Raise() | ast.JoinedStr():
            return
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns", "type_params", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _places(child)


def _words(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _change(node: Any, field: str) -> None:
    match field:
        case "ops":
            node.ops = [SWAPS[type(node.ops[0])]()]
        case "op":
            node.op = SWAPS[type(node.op)]()
        case "not":
            _become(node, node.operand)
        case "value":
            node.value = not node.value if isinstance(node.value, bool) else node.value + 1
        case "name":
            node.func.id = NAMES[node.func.id]
        case "drop":
            _become(node, ast.Pass())


def _become(node: Any, other: ast.AST) -> None:
    """Turn a node into another one in its place."""
    node.__class__, node.__dict__ = other.__class__, copy.copy(ast.copy_location(other, node).__dict__)
