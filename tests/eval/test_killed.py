"""Kill mmaffben score and diagnose before each of their files appears: the same command then gives the same files."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eval.diagnosis.diagnose import diagnose_run
from eval.score.score import score_run
from mmafflm.dataset import Dataset
from tests.data_files import write_data
from tests.eval.made_runs import noisy, records, write_run


class KilledError(BaseException):
    """Like kill -9: nothing handles it."""


COMMANDS: dict[str, Callable[[Path, Dataset], Any]] = {
    "score": lambda run, data: score_run(run, data, "strict"),
    "diagnose": diagnose_run,
}


def files(run: Path) -> dict[str, bytes]:
    return {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", COMMANDS)
def test_killed_before_any_file_appears(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {"CHSIMS_SI": records("CHSIMS_SI", 40), "EWECT_usual": records("EWECT_usual", 40, languages=("zh",))}
    data = write_data(tmp_path / "data", rows)
    command = COMMANDS[name]
    run = write_run(tmp_path / "run", data, rows, noisy(0.2))
    given = len(files(run))
    command(run, data)
    whole = files(run)
    written = len(whole) - given
    assert written >= 1
    for before in sorted({1, 2, written // 2, written} & set(range(1, written + 1))):
        shutil.rmtree(run)
        write_run(run, data, rows, noisy(0.2))
        kill_before(before, monkeypatch)
        with pytest.raises(KilledError):
            command(run, data)
        monkeypatch.undo()
        command(run, data)
        assert files(run) == whole


def kill_before(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill the command before the number-th file gets its final name; half of its content is left."""
    appear, left = Path.replace, [number]

    def replace(self: Path, target: Path) -> Path:
        left[0] -= 1
        if left[0]:
            return appear(self, target)
        torn = self.read_bytes()[: self.stat().st_size // 2]
        unlink = Path.unlink
        monkeypatch.setattr(Path, "unlink", lambda path, *words, **more: None if path == self else unlink(path))
        self.write_bytes(torn)
        raise KilledError

    monkeypatch.setattr(Path, "replace", replace)
