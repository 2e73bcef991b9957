"""A hash of the code that makes a file, so that a file made by other code does not count as up to date.

A version string does not change with every correction of a reader or a metric; the source does. The hash covers a
module, every project module that it imports (anywhere in its code), and the data files next to these modules.
"""

import ast
import hashlib
import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path

OURS = ("mmafflm", "data_build", "eval")
DATA = {".yaml", ".csv", ".json", ".j2"}  # prompts, subsets, label sets, page templates


@cache
def source_hash(*names: str) -> str:
    """SHA-256 over these modules and all project modules that they import; a package includes all of its modules.

    A module that no import statement mentions, such as a corpus that is found by its name, must be among `names`.
    """
    found = _with_imports(names)
    seen = hashlib.sha256()
    for name, path in sorted(found.items()):
        for file in (path, *_data_beside(path)):
            seen.update(f"{name} {file.name}\0".encode() + file.read_bytes())
    return seen.hexdigest()


def _with_imports(names: tuple[str, ...]) -> dict[str, Path]:
    """{module: its file} for these modules and packages, and for what they import."""
    found: dict[str, Path] = {}
    left = [one for name in names for one in _members(name)]
    while left:
        name = left.pop()
        path = _file(name)
        if path is not None and name not in found:
            found[name] = path
            left += _imports(name, path)
    return found


def _members(name: str) -> Iterator[str]:
    """The module itself; for a package, also every module below it."""
    yield name
    path = _file(name)
    if path is not None and path.name == "__init__.py":
        for below in path.parent.rglob("*.py"):
            yield ".".join((name, *below.relative_to(path.parent).with_suffix("").parts)).removesuffix(".__init__")


@cache  # a build asks for a dozen hashes, and most of them cover the same files
def _imports(name: str, path: Path) -> tuple[str, ...]:
    """The project's names in a file's import statements: modules, and names within modules, which have no file."""
    found: list[str] = []
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_bytes())):
        asked: list[str] = []
        if isinstance(node, ast.Import):
            asked = [one.name for one in node.names]
        elif isinstance(node, ast.ImportFrom):
            parent = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            asked = [parent, *(f"{parent}.{one.name}" for one in node.names)]
        found += [one for one in asked if one.partition(".")[0] in OURS]
    return tuple(found)


@cache
def _file(name: str) -> Path | None:
    """A module's file, found without importing anything; None when the name is not a module of this project."""
    top, *parts = name.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None:
        return None
    place = Path(spec.origin).parent.joinpath(*parts)
    return next((file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()), None)


def _data_beside(path: Path) -> list[Path]:
    """The data files in a module's folder, and in a folder with the module's name."""
    folders = [folder for folder in (path.parent, path.with_suffix("")) if folder.is_dir()]
    return sorted(file for folder in folders for file in folder.iterdir() if file.suffix in DATA)
