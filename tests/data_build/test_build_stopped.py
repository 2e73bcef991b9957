"""Builds that are killed, stopped or out of disk leave nothing half-written; the next run ends with the same bytes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from data_build.build import build
from data_build.config import load_config
from data_build.samples import write_samples
from mmafflm.benchmark.benchmark import choose_subsets
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault
from tests.data_build.raw_rows import hashes


def build_after(program: str, *words: str) -> "subprocess.CompletedProcess[str]":
    """`mmaffin build` in a process of its own, which runs the program first."""
    whole = f"{program}from data_build.cli import main\nmain()\n"
    return subprocess.run([sys.executable, "-c", whole, "build", *words], check=False, capture_output=True, text=True)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two raw text corpora and a build of them; test_build_media.py kills a build among its clips."""
    folder = tmp_path_factory.mktemp("text")
    write_samples(folder / "raw", only=["mms", "xed"])
    build(folder / "raw", folder / "data", load_config(None), choose_subsets(None), jobs=1)
    return folder / "raw", folder / "data"


MOMENTS = ("", "leakage.json", "MMS_test.jsonl", "XED_train.parquet", "quarantine.jsonl", "mmaffin_train.parquet",
           "README.md", "manifest.json")  # fmt: skip


@pytest.mark.parametrize("file", MOMENTS)
def test_killed_build_goes_on_and_ends_with_the_same_bytes(text: tuple[Path, Path], tmp_path: Path, file: str) -> None:
    """The process kills itself when it is about to put this file in its place (without a name: the third part that it
    read). Then the same build is made again, here; in test_build_media.py by the same command.
    """
    raw, built = text
    killer = (
        "import os, signal, sys, pathlib\n"
        "count = 0\n"
        "real = pathlib.Path.replace\n"
        "def replace(self, target):\n"
        "    global count\n"
        "    count += 1\n"
        f"    if pathlib.Path(target).name == {file!r} or (count == 3 and not {file!r}):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return real(self, target)\n"
        "pathlib.Path.replace = replace\n"
    )
    killed = build_after(killer, "--raw", str(raw), "--out", str(tmp_path / "data"), "--jobs", "1")
    assert killed.returncode == -signal.SIGKILL
    with pytest.raises(Fault, match="this is not a finished build"):
        Dataset.open(tmp_path / "data")
    build(raw, tmp_path / "data", load_config(None), choose_subsets(None), jobs=1)
    assert hashes(tmp_path / "data") == hashes(built)


def test_full_disk_is_a_sentence_and_leaves_nothing_half_written(text: tuple[Path, Path], tmp_path: Path) -> None:
    """fsync fails as on a full disk: it is the last call of a write that can fail."""
    program = (
        "import errno, mmafflm.records as r\n"
        "def full(fd): raise OSError(errno.ENOSPC, 'No space left on device', 'XED_train.jsonl')\n"
        "r.os.fsync = full\n"
    )
    out = tmp_path / "data"
    done = build_after(program, "--raw", str(text[0]), "--out", str(out), "--jobs", "1")
    assert done.returncode == 1
    assert "No space left on device" in done.stderr and "run it again" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (out / "manifest.json").exists() and not list(out.glob("mmaffin/*.jsonl"))
    assert not list(out.rglob("*.partial"))


def test_workers_that_are_stopped_leave_nothing_half_written(tmp_path: Path) -> None:
    """Workers inherit a limit on the size of files: one cannot write its shard while another reads a long file."""
    write_samples(tmp_path / "raw", only=["xed"])
    long = tmp_path / "raw/xed/Projections/ar-projections.tsv"
    rows = long.read_bytes()
    long.write_bytes(b"".join(b"%d %s" % (number, row) for number in range(3000) for row in rows.splitlines(True)))
    program = (
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))\n"
    )
    out = tmp_path / "data"
    done = build_after(program, "--raw", str(tmp_path / "raw"), "--out", str(out), "--jobs", "2")
    assert done.returncode == 1 and "run it again" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and not list(out.rglob("*.partial"))


@pytest.mark.parametrize("when", ["reading", "fer2013: all will take", "cfaps: 1"])
def test_ctrl_c_for_all_processes_is_one_sentence(when: str, tmp_path: Path) -> None:
    """While workers start, while they open pictures, while a corpus is written."""
    write_samples(tmp_path / "raw", only={"cfaps", "fer2013", "xed"})
    words = ["--raw", tmp_path / "raw", "--out", tmp_path / "data", "--subsets", "CFAPS_EC,FER2013,XED", "--jobs", "2"]
    command = [sys.executable, "-m", "data_build", "build", *map(str, words)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith(when):
                os.killpg(process.pid, signal.SIGINT)
                break
        said = process.stderr.read()
    assert process.returncode == 130, said
    assert "Traceback" not in said and "KeyboardInterrupt" not in said
    assert said.count("Run the same command again to resume") == 1
