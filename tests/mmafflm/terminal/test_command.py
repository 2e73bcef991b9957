"""Exit codes and messages of the commands."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.command import mmaffben, mmaffin, mmafflm

APP = """
import sys
import mmafflm.terminal.command as command
from mmafflm.errors import Fault, UsageFault
app = command.app("for the test")
@app.command()
def go(what: str) -> None:
    if what == "wait":
        print("ready", flush=True)
        sys.stdin.read()
    faults = {"data": Fault("xed:3: broken"), "usage": UsageFault("--limit 0"), "disk": OSError(28, "full", "a.jsonl")}
    raise faults[what]
command.run(app)
"""


def run(what: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", APP, what], check=False, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("what", "code", "message"),
    [("data", 1, "error: xed:3: broken"), ("usage", 2, "error: --limit 0"), ("disk", 1, "No space left on device")],
)
def test_faults_are_sentences_without_a_traceback(what: str, code: int, message: str) -> None:
    done = run(what)
    assert done.returncode == code
    assert message in done.stderr and "Traceback" not in done.stderr and not done.stdout


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_is_said(sign: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", APP, "wait"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as process:  # fmt: skip
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        process.send_signal(sign)
        _, said = process.communicate()
    assert process.returncode == 130
    assert "Run the same command again to resume" in said and "Traceback" not in said


@pytest.mark.parametrize("command", [mmaffin, mmafflm, mmaffben])
def test_modules_are_the_commands(command: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = command("--help")
    assert done.returncode == 0 and "Usage" in done.stdout
    assert command("nonsense").returncode == 2


def test_building_and_scoring_do_not_import_torch(tmp_path: Path) -> None:
    # polars checks whether torch exists, but does not import it
    blocked = (
        "import sys\n"
        "import data_build.cli, data_build.build, data_build.remix, data_build.dataset.stats_page\n"
        "import data_build.publish.publish\n"
        "import data_build.release.import_release, data_build.release.export, data_build.translate.translate\n"
        "import mmafflm.cli, eval.cli, eval.score.score, eval.score.score_table, eval.report.browse\n"
        "import mmafflm.browse.server\n"
        "heavy = {'torch', 'transformers', 'sklearn', 'scipy', 'pandas', 'pyarrow'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", blocked], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
