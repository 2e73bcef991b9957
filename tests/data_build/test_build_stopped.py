"""Ctrl-C during a build: every process of the terminal gets it, and one sentence is printed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from data_build.samples import write_samples

# A shell that runs the tests in the background makes them, and all processes they start, ignore Ctrl-C.
MMAFFIN = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from data_build.cli import main
main()
"""


@pytest.mark.parametrize("when", ["reading", "fer2013: they take", "cfaps: 1"])
def test_ctrl_c_for_all_processes_is_one_sentence(when: str, tmp_path: Path) -> None:
    """While workers start, while they open pictures, while a corpus is written."""
    write_samples(tmp_path / "raw", only={"cfaps", "fer2013", "xed"})
    words = ["--raw", tmp_path / "raw", "--out", tmp_path / "data", "--subsets", "CFAPS_EC,FER2013,XED", "--jobs", "2"]
    command = [sys.executable, "-c", MMAFFIN, "build", *map(str, words)]
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
