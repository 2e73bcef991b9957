"""The commands in the how-to pages, as a reader would copy them, in a folder that looks like a clone.

The README's commands are run as well, except those that .ci/run runs as they are, and training of 7B.

A block of a page marked `sh` is run, in the order of the page; builds get a limit. pytest is not run again for tests
that run anyway: they must exist. A block with a title, such as title="needs GPUs", is not run as it is: `make` shows
what it would call, and the flags of the other commands are compared with their help texts.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from data_build.build import build
from data_build.config import load_config
from data_build.media.journal import JOURNAL
from data_build.release.export import export
from mmafflm.benchmark.benchmark import choose_subsets
from mmafflm.dataset import Dataset
from tests.eval.made_runs import noisy, write_run
from tests.paths import ROOT

FIRST, LAST = "evaluate-a-checkpoint", "build-the-data"  # makes runs that other pages use; changes what they use
PAGES = sorted(
    (ROOT / "docs" / "how-to").glob("*.md"), key=lambda page: (page.stem != FIRST, page.stem == LAST, page.stem)
)
ROWS = 80  # of a subset: enough for one global batch
BUILD, PYTEST = "mmaffin build", "python -m pytest"
BLOCK = re.compile(r"^```sh( title=\"[^\"]+\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
README = re.findall(r"^```\n((?:make|mmaffin) .*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
ASKED = 3  # prompts a subset in the README's evaluations
# .ci/run runs these as they are; the 7B model needs GPUs; the shell's own line
ELSEWHERE = ("make setup", "make demo", "make test", "make check", "make bench", "make train-7b", ". .venv/")
COMMANDS = ("mmaffin", "mmafflm", "mmaffben")
SUBSETS = "XED,onlineshopping,FER2013,MELD_SP"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def clone(nano: Path, raw: Path, built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sources, raw corpora, a build, the model `runs/nano`, and two runs of answers.

    Builds here are made over copies of `built`, so no picture is opened again.
    """
    folder = tmp_path_factory.mktemp("clone")
    for name in ("Makefile", "data_build", "mmafflm", "eval", "tests", "pyproject.toml"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "train_configs", folder / "train_configs")
    (folder / "raw").symlink_to(raw)
    shutil.copytree(built, folder / "data")
    build(raw, folder / "data", load_config(None), choose_subsets(SUBSETS), jobs=1, limit=ROWS, replace=True)
    shutil.copytree(nano, folder / "runs" / "nano")
    data = Dataset.open(folder / "data")
    for run, wrong in (("before", 0.6), ("after", 0.3)):
        write_run(folder / "runs" / run, data, SUBSETS.split(","), noisy(wrong))
    return folder


def _env(bin: Path = Path(sys.executable).parent) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return env | {"PATH": f"{bin}:{env['PATH']}", "HF_HUB_OFFLINE": "1", "COLUMNS": "200"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_of_a_page_run(page: Path, clone: Path, built: Path, warm: Path) -> None:
    if page.stem == LAST:
        shutil.rmtree(clone / "data")
        shutil.copytree(built / "media", clone / "data" / "media")  # as a build that was stopped after the media
        shutil.copy(built / JOURNAL, clone / "data")
    for title, block in BLOCK.findall(page.read_text()):
        for line in _lines(block):
            if title or line.startswith(PYTEST):
                _exists(line)
            else:
                limit = f" --limit {ROWS} --jobs 1" if line.startswith(BUILD) else ""
                _run(line, line + limit, clone, warm)


@pytest.fixture
def readme_clone(few: Path, some_raw: Path, nano: Path, tmp_path: Path) -> Path:
    """A folder with the sources, two raw corpora, a release and two checkpoints, named as in the README."""
    for name in ("Makefile", "data_build", "mmafflm", "eval", "tests", "pyproject.toml", "train_configs"):
        (tmp_path / name).symlink_to(ROOT / name)
    for corpus in ("onlineshopping", "fer2013"):  # texts and pictures; the release has clips
        shutil.copytree(some_raw / corpus, tmp_path / "raw" / corpus)
    for checkpoint in (tmp_path / "OWNER" / "NAME", tmp_path / "runs" / "train-7b"):
        checkpoint.parent.mkdir()
        checkpoint.symlink_to(nano)
    export(Dataset.open(few), "sharegpt", tmp_path / "MMAFFIn", SUBSETS.split(","))
    (tmp_path / "MMAFFBen").mkdir()
    (tmp_path / "MMAFFBen" / "media").symlink_to(tmp_path / "MMAFFIn" / "media")
    for path in (tmp_path / "MMAFFIn").glob("*_test.json"):
        path.rename(tmp_path / "MMAFFBen" / path.name)
    return tmp_path


@pytest.mark.parametrize("block", README, ids=["demo", "evaluate", "train", "develop"])
def test_the_commands_of_the_readme_run(block: str, readme_clone: Path, warm: Path) -> None:
    lines = _lines(block)
    assert lines
    for line in lines:
        if line.startswith(ELSEWHERE):
            _exists(line)
            continue
        words = shlex.split(line, comments=True)
        if words[0] == "make":
            words[1:1] = ["-o", ".venv/.full", "-o", ".venv/.core", f"BIN={warm}"]
        if words[0] == "make" and "eval" in words:
            words += [f"LIMIT={ASKED}"]
        _run(line, shlex.join(words), readme_clone, warm)


def _lines(block: str) -> list[str]:
    return [line for line in block.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]


def _run(line: str, command: str, folder: Path, bin: Path) -> None:
    """Run a command in a folder, with the programs of `bin`; a failure shows the line as the page has it."""
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, check=False, capture_output=True, text=True, env=_env(bin)
    )
    assert not done.returncode, f"{line}\n{done.stderr[-2000:]}"


def _exists(line: str) -> None:
    """The command of a line, its verb and its flags exist; a Make target has a rule; pytest is given test files."""
    words = shlex.split(line, comments=True)
    if words[0] == "make":
        bin = Path(sys.executable).parent
        shown = ["make", "-n", "-o", ".venv/.full", "-o", ".venv/.core", f"BIN={bin}", *words[1:]]
        done = subprocess.run(shown, cwd=ROOT, check=False, capture_output=True, text=True, env=_env())
        assert not done.returncode, f"{line}\n{done.stderr}"
    elif line.startswith(PYTEST):
        for path in (ROOT / word for word in words[3:] if not word.startswith("-")):
            assert path.is_file() or any(path.glob("**/test_*.py")), line
    elif words[0] in COMMANDS:
        flags = {word.partition("=")[0] for word in words[2:] if word.startswith("--")}
        assert flags <= _flags(words[0], words[1]), line
    else:
        assert words[0] in (".", "sbatch", "export", "ray", "vllm", "llama-server", "ollama", "hf"), line


@cache
def _flags(command: str, verb: str) -> set[str]:
    done = subprocess.run([command, verb, "--help"], check=True, capture_output=True, text=True, env=_env())
    return set(re.findall(r"--[a-z-]+", done.stdout))
