"""The folders ("rooms") of the packages: imports go only to lower rooms, and no room uses another's private names.

ROOMS lists them from the ground up. A module directly in a package's folder is a room of its own.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
WINGS = ("mmafflm", "data_build", "eval")
ROOMS = (
    # mmafflm
    "mmafflm/__init__.py",
    "mmafflm/errors.py",
    "mmafflm/orphans.py",
    "mmafflm/shard.py",
    "mmafflm/cluster",
    "mmafflm/svg.py",
    "mmafflm/benchmark",
    "mmafflm/files",
    "mmafflm/endpoint.py",
    "mmafflm/records.py",
    "mmafflm/terminal",
    "mmafflm/checkpoints.py",
    "mmafflm/run_file.py",
    "mmafflm/sampling.py",
    "mmafflm/untrusted.py",
    "mmafflm/hub.py",
    "mmafflm/families",
    "mmafflm/weights.py",
    "mmafflm/doctor.py",
    "mmafflm/families/qwen2_5_vl",
    "mmafflm/media",
    "mmafflm/standin",
    "mmafflm/dataset.py",
    "mmafflm/families/qwen2_vl",
    "mmafflm/families/qwen3_vl",
    "mmafflm/browse",
    "mmafflm/train/plan",
    "mmafflm/train/launch",
    "mmafflm/train/stream",
    "mmafflm/train/launch/startup",
    "mmafflm/train/watch",
    "mmafflm/train",
    "mmafflm/listing.py",
    "mmafflm/cli.py",
    "mmafflm/__main__.py",
    # data_build
    "data_build/__init__.py",
    "data_build/drawing",
    "data_build/workers",
    "data_build/ids.py",
    "data_build/reading",
    "data_build/corpora",
    "data_build/samples.py",
    "data_build/config.py",
    "data_build/media",
    "data_build/twins.py",
    "data_build/mix",
    "data_build/rows",
    "data_build/dataset",
    "data_build/leaks",
    "data_build/sources.py",
    "data_build/build.py",
    "data_build/shares.py",
    "data_build/doctor.py",
    "data_build/release",
    "data_build/translate",
    "data_build/publish",
    "data_build/remix.py",
    "data_build/cli.py",
    "data_build/__main__.py",
    # eval
    "eval/__init__.py",
    "eval/tables.py",
    "eval/engines",
    "eval/run",
    "eval/engines/hf",
    "eval/engines/openai",
    "eval/engines/vllm",
    "eval/score",
    "eval/ask",
    "eval/demo.py",
    "eval/diagnosis",
    "eval/compare",
    "eval/export_tasks",
    "eval/report",
    "eval/leaderboard",
    "eval/api.py",
    "eval/arguments.py",
    "eval/cli_many.py",
    "eval/cli.py",
    "eval/__main__.py",
)


class Import(NamedTuple):
    """One name that a file takes from another module of the project."""

    file: Path
    line: int
    source: str  # module that imports
    target: str  # module that is imported
    name: str

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line}: imports {self.name} of {self.target}"


@cache
def modules() -> dict[str, Path]:
    """Every module of the project and its file."""
    files = [path for wing in WINGS for path in (ROOT / wing).rglob("*.py")]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in files}


def imports() -> Iterator[Import]:
    """Every import between the modules, including those in functions and under TYPE_CHECKING."""
    for source, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                for name in (alias.name for alias in node.names):
                    whole = f"{node.module}.{name}"
                    target = whole if whole in modules() else node.module
                    if target in modules():
                        yield Import(path, node.lineno, source, target, name)
            elif isinstance(node, ast.Import):
                for name in (alias.name for alias in node.names):
                    if name in modules():
                        yield Import(path, node.lineno, source, name, name)


def room_of(module: str) -> str:
    """The room of a module, as ROOMS names it: its folder, or itself if it is directly in its package's folder."""
    path = modules()[module]
    folder = path.parent.relative_to(ROOT).as_posix()
    return path.relative_to(ROOT).as_posix() if folder in WINGS else folder


def wing_of(module: str) -> str:
    return module.partition(".")[0]


def test_every_room_has_its_place_and_says_what_it_is_for() -> None:
    assert {room_of(module) for module in modules()} == set(ROOMS) and len(ROOMS) == len(set(ROOMS))
    for folder in {path.parent for path in modules().values()}:
        opening = folder / "__init__.py"
        if folder.name != "startup":  # its only file is not imported: Python runs it when it starts
            tree = ast.parse(opening.read_text(encoding="utf-8"))
            assert ast.get_docstring(tree), f"{opening}: no docstring"


def test_imports_go_down() -> None:
    place = {room: at for at, room in enumerate(ROOMS)}
    upward = [str(one) for one in imports() if place[room_of(one.target)] > place[room_of(one.source)]]
    assert not upward, "\n".join(upward)


@pytest.mark.parametrize(("wing", "allowed"), [("mmafflm", ()), ("data_build", ("mmafflm",)), ("eval", ("mmafflm",))])
def test_wings_meet_on_the_ground_only(wing: str, allowed: tuple[str, ...]) -> None:
    strangers = [
        str(one) for one in imports() if wing_of(one.source) == wing and wing_of(one.target) not in (wing, *allowed)
    ]
    assert not strangers, "\n".join(strangers)


def test_no_file_imports_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for one in imports():
        graph.setdefault(one.source, set()).add(one.target)
    done, path = set[str](), list[str]()

    def follow(module: str) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module not in done:
            path.append(module)
            for target in sorted(graph.get(module, set()) - {module}):
                follow(target)
            done.add(path.pop())

    for module in modules():
        follow(module)


def test_private_names_stay_in_their_file() -> None:
    taken = [str(one) for one in imports() if one.name.startswith("_") and not one.name.startswith("__")]
    assert not taken, "\n".join(taken)


def test_a_public_type_has_a_name_of_its_own() -> None:
    places: dict[str, list[str]] = {}
    for module, path in modules().items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(module)
    shared = {name: found for name, found in places.items() if len(found) > 1}
    assert not shared, shared
