"""Exit codes and messages of the commands."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import mmafflm as mmafflm_package
import mmafflm.terminal.command as command
from tests.command import mmaffben, mmaffin, mmafflm

APP = """
import sys
import mmafflm as mmafflm_package
import mmafflm.terminal.command as command
from mmafflm.errors import Fault, UsageFault
app = command.App("for the test")
@app.verb("test go data")
def go(what: str) -> None:
    if what == "wait":
        print("ready", flush=True)
        sys.stdin.read()
    faults = {"data": Fault("xed:3: broken"), "usage": UsageFault("--limit 0"), "disk": OSError(28, "full", "a.jsonl")}
    raise faults[what]
command.run(app, resumed=RESUMED)
"""


def run(what: str) -> subprocess.CompletedProcess[str]:
    code = APP.replace("RESUMED", "()")
    return subprocess.run([sys.executable, "-c", code, "go", what], check=False, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("what", "code", "message"),
    [("data", 1, "error: xed:3: broken"), ("usage", 2, "error: --limit 0"), ("disk", 1, "No space left on device")],
)
def test_faults_are_sentences_without_a_traceback(what: str, code: int, message: str) -> None:
    done = run(what)
    assert done.returncode == code
    assert message in done.stderr and "Traceback" not in done.stderr and not done.stdout


@pytest.mark.parametrize(
    ("sign", "resumed", "message"),
    [
        (signal.SIGINT, '("go",)', "stopped. Run the same command again to resume."),
        (signal.SIGTERM, '("other", "go --resume")', "stopped. Run the same command again with --resume to resume."),
        (signal.SIGINT, '("other",)', "stopped."),  # a verb that begins anew must not promise to resume
    ],
)
def test_a_stop_says_how_to_resume(sign: signal.Signals, resumed: str, message: str) -> None:
    code = APP.replace("RESUMED", resumed)
    with subprocess.Popen([sys.executable, "-c", code, "go", "wait"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as process:  # fmt: skip
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        process.send_signal(sign)
        _, said = process.communicate()
    assert process.returncode == 130 and said.splitlines()[-1] == message and "Traceback" not in said


def test_a_full_disk_is_named_though_the_error_names_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write() -> None:
        raise OSError(28, "No space left on device")

    full = tmp_path / "run"
    monkeypatch.setattr(sys, "argv", ["mmaffben", "predict", "--out", str(full)])
    monkeypatch.setattr(command, "free_bytes", lambda path: 0 if path == full else 1 << 30)
    said: list[str] = []
    monkeypatch.setattr(command, "say", said.append)
    with pytest.raises(SystemExit) as ended:
        command.run(write)
    assert ended.value.code == 1 and said[0].startswith(f"error: {full}: No space left on device (")


@pytest.mark.parametrize("typed", [mmaffin, mmafflm, mmaffben])
def test_modules_are_the_commands(typed: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = typed("-h")
    assert done.returncode == 0 and "Usage" in done.stdout and done.stdout == typed("--help").stdout
    assert typed("nonsense").returncode == 2
    assert typed("--version").stdout == f"{mmafflm_package.__version__}\n"
    script = typed("--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert "complete" in script.stdout, script.stderr


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
