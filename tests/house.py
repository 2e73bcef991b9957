"""`python -m tests.house [TREE ...]`: the layout and the prose of a tree of this project, in figures.

Rooms are folders with Python files, and files directly in a package's folder (as in test_rooms.py). An arrow is a pair
of rooms of which one imports the other, anywhere in its code. A floor is a step of the longest chain of imports; rooms
in a circle are on one floor.
"""

import ast
import io
import re
import statistics
import sys
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

WINGS = ("mmafflm", "data_build", "eval")
DIALECT = ("stand", "stands", "said", "told", "is none", "are none", "goes on", "is asked", "are asked", "so many")
LONG_FUNCTION, LONG_FILE = 40, 300


def figures(tree: Path) -> Iterator[tuple[str, object]]:
    """(what, figure) for each line of the table."""
    paths = [path for wing in WINGS for path in sorted((tree / wing).rglob("*.py"))]
    files = {path.relative_to(tree): path.read_text(encoding="utf-8") for path in paths}
    for wing in WINGS:
        yield f"lines of {wing}", sum(text.count("\n") for path, text in files.items() if path.parts[0] == wing)
    trees = {path: ast.parse(text) for path, text in files.items()}
    functions = [
        (node.end_lineno or 0) - node.lineno + 1
        for parsed in trees.values()
        for node in ast.walk(parsed)
        if isinstance(node, ast.FunctionDef)
    ]
    yield f"functions of more than {LONG_FUNCTION} lines", sum(lines > LONG_FUNCTION for lines in functions)
    yield f"files of more than {LONG_FILE} lines", sum(text.count("\n") > LONG_FILE for text in files.values())
    arrows = _arrows(trees)
    for wing in WINGS:
        rooms = {_room(path) for path in files if path.parts[0] == wing}
        own = {(a, b) for a, b in arrows if a in rooms and b in rooms}
        yield f"rooms, arrows of {wing}", f"{len(rooms)}, {len(own)}"
    above = _above(arrows)
    circles = {room for room in above if room in above[room]}
    yield "floors", max(_floors(arrows, above).values())
    yield "rooms in a circle", len(circles)
    words = [len(one.split()) for parsed in trees.values() for one in _sentences(parsed)]
    yield "sentences in docstrings, median words", f"{len(words)}, {statistics.median(words):g}"
    prose = "\n".join(line.lower() for text in files.values() for line in _prose(text))
    counts = {word: len(re.findall(rf"\b{word}\b", prose)) for word in DIALECT}
    yield "words of the dialect", ", ".join(f"{word} {count}" for word, count in counts.items())


def _arrows(trees: dict[Path, ast.Module]) -> set[tuple[Path, Path]]:
    """The pairs (room, room that it imports)."""
    found = set()
    for path, parsed in trees.items():
        for node in ast.walk(parsed):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names += [f"{node.module}.{alias.name}" for alias in node.names]
            for place in (Path(*name.split(".")) for name in names if name):
                for file in (place.with_suffix(".py"), place / "__init__.py"):
                    if file in trees and _room(file) != _room(path):
                        found.add((_room(path), _room(file)))
    return found


def _room(file: Path) -> Path:
    return file if len(file.parts) == 2 else file.parent


def _above(arrows: set[tuple[Path, Path]]) -> dict[Path, set[Path]]:
    """For each room, all rooms that it imports, directly or not."""
    above = {room: {b for a, b in arrows if a == room} for pair in arrows for room in pair}
    while any(more - above[room] for room in above for more in [set().union(*(above[one] for one in above[room]))]):
        above = {room: below.union(*(above[one] for one in below)) for room, below in above.items()}
    return above


def _floors(arrows: set[tuple[Path, Path]], above: dict[Path, set[Path]]) -> dict[Path, int]:
    @cache
    def floor(room: Path) -> int:
        below = {b for a, b in arrows if a in circle(room) and room not in above[b]}
        return 1 + max(map(floor, below), default=0)

    def circle(room: Path) -> set[Path]:
        return {room} | {one for one in above[room] if room in above[one]}

    return {room: floor(room) for room in above}


def _sentences(parsed: ast.Module) -> Iterator[str]:
    for node in ast.walk(parsed):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (text := ast.get_docstring(node)):
            yield from (one for one in re.split(r"(?<=[.!?:])\s+", text) if len(one.split()) > 2)


def _prose(source: str) -> Iterator[str]:
    """Comments, and strings of several words."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and len(token.string.split()) > 2):
            yield token.string


def main() -> None:
    trees = [Path(word) for word in sys.argv[1:]] or [Path()]
    columns = [dict(figures(tree)) for tree in trees]
    for name in dict.fromkeys(name for column in columns for name in column):
        print(f"| {name} | " + " | ".join(str(column.get(name, "")) for column in columns) + " |")


if __name__ == "__main__":
    main()
