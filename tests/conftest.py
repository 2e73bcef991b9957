"""The samples, a base model and the processes that several tests share; and Ctrl-C as a terminal gives it."""

import gc
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.forks import Forks
from tests.shared import FEW, made_once
from tests.warm import Warm

FIRST = {"onlineshopping", "fer2013", "emotic", "meld"}  # the corpora whose samples many tests need

# Imports make millions of objects and hardly any garbage: looking for it is a third of the time to collect the tests.
gc.disable()

# A runner in the background, or under nohup, ignores SIGINT, and every command that a test starts would inherit that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files with slow tests first, so that no process begins one when the others are at their end.

    Of these, one that needs the samples is the first, and the others that need them the last: while one process draws
    and builds them, the other has files that do without.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    need = [item.path for item in items if isinstance(item, pytest.Function) and "raw" in item.fixturenames]
    first = next((path for path in need if path in slow), None)
    late = set(need) - {first}
    items.sort(key=lambda item: (item.path not in slow, item.path in late))


def pytest_collection_finish() -> None:
    """Look for garbage again, but not among what is imported by now."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def nano(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of `mmafflm standin nano`. A test that changes it must copy it first."""
    pytest.importorskip("torch", reason="torch belongs to the train tier")
    from mmafflm.standin.standin import make_standin

    return made_once(tmp_path_factory, "nano", lambda folder: make_standin("nano", folder))


@pytest.fixture(scope="session")
def raw(some_raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample files of every corpus; tests must not change them."""
    from data_build.corpora.find import corpora
    from data_build.samples import write_samples

    def make(out: Path) -> None:
        write_samples(out, only=corpora().keys() - FIRST)
        shutil.copytree(some_raw, out, dirs_exist_ok=True)

    return made_once(tmp_path_factory, "raw", make)


def build_all(raw: Path, out: Path, limit: int | None = None) -> None:
    """Build every subset of the samples. With two processes, because the other process of the suite waits for it."""
    from data_build.build import build
    from data_build.config import load_config
    from mmafflm.benchmark.benchmark import choose_subsets

    build(raw, out, load_config(None), choose_subsets(None), jobs=2, limit=limit, replace=out.exists())


@pytest.fixture(scope="session")
def some_raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The samples of a text corpus, two of pictures and one of clips, drawn in seconds; tests must not change them."""
    from data_build.samples import write_samples

    return made_once(tmp_path_factory, "some_raw", lambda out: write_samples(out, only=FIRST))


@pytest.fixture(scope="session")
def built(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build of all samples; tests must not change it."""
    return made_once(tmp_path_factory, "built", lambda out: build_all(raw, out))


@pytest.fixture(scope="session")
def few(raw: Path, built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build of all subsets with FEW rows of each; tests must not change it.

    It is made over a copy of `built`, so no picture is opened again.
    """

    def make(out: Path) -> None:
        shutil.copytree(built, out)
        build_all(raw, out, limit=FEW)

    return made_once(tmp_path_factory, "few", make)


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """Processes that have LLaMA-Factory imported already."""
    pytest.importorskip("llamafactory")
    with Forks(tmp_path_factory.mktemp("forks")) as made:
        yield made


@pytest.fixture(scope="session")
def warm(forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the three commands, which start without importing torch (tests/warm.py)."""
    with Warm(tmp_path_factory.mktemp("warm"), forks) as made:
        yield made.bin
