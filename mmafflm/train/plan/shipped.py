"""The recipes and experiments that are installed with the package, found by a name such as mmafflm-7b or languages."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mmafflm.errors import UsageFault

RECIPES = (Path(__file__).parents[2] / "train_configs").resolve()  # in a Git checkout a link to the folder at the top
EXPERIMENTS = RECIPES / "experiments"


class Shipped(NamedTuple):
    """A recipe or an experiment: its name, and the first sentence of its file."""

    name: str
    about: str


def shipped(folder: Path) -> Iterator[Shipped]:
    """The files of a folder by name; each begins with a comment that says what it is for."""
    for path in sorted(folder.glob("*.yaml")):
        yield Shipped(path.stem, path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# "))


def find(given: Path, folder: Path, kind: str) -> Path:
    """The given file, or else the shipped one of this name. Raises UsageFault with all names when there is neither."""
    if given.is_file():
        return given
    name = given.name.removesuffix(".yaml")
    named = given.parent == Path() or folder.parts[-len(given.parent.parts) :] == given.parent.parts
    if named and (folder / f"{name}.yaml").is_file():
        return folder / f"{name}.yaml"
    names = ", ".join(one.name for one in shipped(folder))
    raise UsageFault(f"{given}: no such {kind}. Give the path of a file, or one of these names: {names}.")
