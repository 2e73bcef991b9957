"""A run that hangs is ended with a message, and one that is only slow is left alone; with a clock set by the tests."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import mmafflm.train.launch.launch as launch
import mmafflm.train.launch.processes as processes
import mmafflm.train.run as train_module
import mmafflm.train.watch.stall as stall_module
from mmafflm.errors import Fault
from mmafflm.train.launch.processes import MARK, Process, group_alive, processes_of, roots_of, run_name, stop_group
from mmafflm.train.launch.tensorboard import Curves
from mmafflm.train.plan.plan import plan
from mmafflm.train.run import train
from mmafflm.train.watch.stall import FIRST_S, LEAST_S, Stall
from mmafflm.train.watch.validation import Validation
from tests.look_alike import look_alike
from tests.mmafflm.recipes import recipe_with
from tests.mmafflm.tiny_data import make_data, text_records
from tests.mmafflm.train.launch.test_data_wait import timed


class Clock:
    """A clock that only the test advances."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(stall_module, "time", made)
    monkeypatch.setattr("mmafflm.train.launch.data_wait.time", made)
    return made


def quiet(stall: Stall, clock: Clock, seconds: float) -> str | None:
    """Let beats of five seconds pass in which nothing is written; returns the first message, or None."""
    for _ in range(int(seconds / 5)):
        clock.now += 5
        if said := stall.beat():
            return said
    return None


def begun(clock: Clock, out: Path, step_s: float) -> Stall:
    """A run that has logged its first step after an hour of loading; its progress bar shows when the step began."""
    stall = Stall(out)
    assert quiet(stall, clock, 3600) is None
    (out / "train.log").write_text("0%|")
    assert quiet(stall, clock, 10) is None  # the bar is noticed
    assert quiet(stall, clock, step_s) is None
    log_steps(out, 1)
    assert quiet(stall, clock, 10) is None
    return stall


def test_a_run_that_hangs_is_known_after_three_pauses(tmp_path: Path, clock: Clock) -> None:
    stall = begun(clock, tmp_path, step_s=400)
    log_steps(tmp_path, 2)
    assert quiet(stall, clock, 3 * 400) is None
    assert quiet(stall, clock, 60) == "nothing was written for 21 min although its processes are running: it hangs"


def test_a_longer_pause_sets_a_new_limit(tmp_path: Path, clock: Clock) -> None:
    stall = begun(clock, tmp_path, step_s=60)
    assert stall.limit_s == LEAST_S  # a neighbour may slow a short step that much
    assert quiet(stall, clock, 590) is None
    log_steps(tmp_path, 2)
    assert quiet(stall, clock, 10) is None and stall.limit_s == pytest.approx(3 * 600, rel=0.02)
    assert quiet(stall, clock, 1700) is None and quiet(stall, clock, 200)


def test_the_first_steps_may_take_their_time(tmp_path: Path, clock: Clock) -> None:
    log = tmp_path / "train.log"
    stall = Stall(tmp_path)
    for hour in range(4):  # the base is being downloaded
        log.write_text("." * (hour + 1))
        assert quiet(stall, clock, 3600) is None
    assert "120 min" in str(quiet(stall, clock, FIRST_S))
    stall = Stall(tmp_path, first_s=float("inf"))  # resumed by reading the earlier rows again
    assert quiet(stall, clock, 20 * 3600) is None


def test_a_checkpoint_that_is_being_written_is_life(tmp_path: Path, clock: Clock) -> None:
    stall = begun(clock, tmp_path, step_s=60)
    part = tmp_path / "checkpoint-6/global_step6/zero_pp_rank_0_mp_rank_00_optim_states.pt"
    part.parent.mkdir(parents=True)
    for size in range(6):  # an hour
        part.write_bytes(bytes(size))
        assert quiet(stall, clock, 590) is None
    assert quiet(stall, clock, 3 * 600)


def test_a_launcher_that_stood_still_itself_has_seen_nothing(tmp_path: Path, clock: Clock) -> None:
    stall = begun(clock, tmp_path, step_s=60)
    clock.now += 24 * 3600
    assert stall.beat() is None


def log_steps(out: Path, *steps: int) -> None:
    with (out / "trainer_log.jsonl").open("a") as rows:
        for step in steps:
            rows.write(json.dumps({"current_steps": step, "total_steps": 8, "loss": 2.0, "lr": 1e-3}) + "\n")


def test_a_run_that_hangs_ends_with_a_sentence(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, nano: Path
) -> None:
    """`train` with a fake trainer: it logs four steps of five seconds and then waits for data."""

    def hangs(config: Path, out: Path, env: dict[str, str], node_rank: int, beat: Any) -> int:
        for step in range(1, 5):
            clock.now += 5
            log_steps(out, step)
            beat()
        monkeypatch.setenv("HF_DATASETS_CACHE", env["HF_DATASETS_CACHE"])
        monkeypatch.setenv("RANK", "3")
        next(timed(stuck(beat)))
        raise AssertionError("nobody saw it")

    def stuck(beat: Any) -> Iterator[None]:
        for beats in range(400):  # every process is stopped for a quarter of an hour, then one of two continues
            clock.now += 5
            states[0] = "T" if beats < 180 else "S"
            beat()
        yield

    states = ["S", "T"]
    monkeypatch.setattr(train_module, "run", hangs)
    monkeypatch.setattr("mmafflm.train.watch.stall.processes_of", lambda name: [Process(71, 1, one) for one in states])
    data = make_data(tmp_path / "data", text_records(135))
    with pytest.raises(Fault, match=r"run: stopped after step 4, nothing was written for 10 min") as caught:
        train(recipe_with(tmp_path), data, tmp_path / "run", base=str(nano))
    said = str(caught.value)
    assert "it hangs. Rank 3 has waited for data for 20 min. Check" in said
    assert said.endswith("--resume continues from the beginning, because no checkpoint is complete.")
    assert not json.loads((tmp_path / "run/run.json").read_text())["finished"]


def test_a_validation_that_hangs_does_not_hold_a_run_that_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_data(tmp_path / "data", text_records(64))
    planned = plan(recipe_with(tmp_path), data, base=look_alike(tmp_path / "base"), out=tmp_path / "run")
    held = Validation(tmp_path, data.path, planned, every=4, rows=2, start=0, curves=Curves(tmp_path / "board"))
    held.step = 4
    held.process = process = subprocess.Popen(
        [sys.executable, "-c", "import signal; signal.pause()"], start_new_session=True
    )
    hours = iter(range(100))
    monkeypatch.setattr("mmafflm.train.watch.validation.time.monotonic", lambda: 3600.0 * next(hours))
    held.finish()
    assert process.poll() is None and "step 4 is not validated" in capsys.readouterr().err
    monkeypatch.undo()
    held.close()
    assert process.returncode and held.process is None


def test_the_living_processes_of_a_run(tmp_path: Path) -> None:
    for pid in (11, 12, 13):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "environ").write_bytes(b"HOME=/\0MMAFFLM_RUN=0:/run\0")
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (py (x)) {'TRZ'[pid - 11]} {pid - 1} 0 0")
    found = processes_of("0:/run", tmp_path)
    assert sorted(found) == [Process(11, 10, "T"), Process(12, 11, "R")]  # the third is dead
    assert processes_of("0:/ru", tmp_path) == []


# Like llamafactory-cli, torchrun and a rank: the first ends at once; the second is killed before it ends the third.
LAUNCHES = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
TORCHRUN = """
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
words = [sys.executable, '-c', 'import signal; print(flush=True); signal.pause()']
rank = subprocess.Popen(words, start_new_session=True)
rank.wait()
"""


@pytest.fixture
def launched(tmp_path: Path) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    name = run_name(tmp_path, 0)
    env = os.environ | {MARK: name}
    command = [sys.executable, "-c", LAUNCHES, TORCHRUN]
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout and process.stdout.readline()  # the rank is running
    yield process, name
    for one in processes_of(name):
        os.kill(one.pid, 9)


def test_no_rank_outlives_its_run(
    launched: tuple["subprocess.Popen[bytes]", str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "STOP_S", 0.5)
    process, name = launched
    assert len(processes_of(name)) == 3 and roots_of(name) == [process.pid]
    assert run_name(Path("/elsewhere"), 0) != name != run_name(Path("/elsewhere"), 1)
    stop_group(process, name)
    monkeypatch.setattr(processes, "STOP_S", 20)
    stop_group(process, name)  # waits until the last process is gone
    assert processes_of(name) == []


@pytest.mark.parametrize("comes", ["while it is watched", "again while it is stopped", "while another thread runs it"])
def test_one_interrupt_ends_a_run_and_its_processes(
    comes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """polars raises a KeyboardInterrupt; Python raises its own for the same signal while the run is being stopped."""
    program = tmp_path / "bin/llamafactory-cli"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nimport signal\nsignal.pause()\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program.with_name("python")))
    name = run_name(tmp_path, 0)
    beats: list[str] = []
    stopped: list[int] = []

    def beat() -> None:
        beats.append("begun")
        if comes != "while it is watched":
            raise KeyboardInterrupt
        signal.raise_signal(signal.SIGINT)
        beats.append("ended")  # held until the beat has ended

    def stop(process: "subprocess.Popen[bytes]", named: str) -> None:
        stopped.append(process.pid)
        if comes == "again while it is stopped":
            signal.raise_signal(signal.SIGINT)
        stop_group(process, named)

    monkeypatch.setattr(launch, "stop_group", stop)
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    def whole() -> None:
        with pytest.raises(KeyboardInterrupt):
            launch.run(tmp_path / "config.yaml", tmp_path, os.environ | {MARK: name}, 0, beat)

    if comes == "while another thread runs it":
        with ThreadPoolExecutor(1) as pool:
            pool.submit(whole).result()
    else:
        whole()
    assert beats[0] == "begun" and (beats[1:] == ["ended"]) == (comes == "while it is watched")
    assert len(stopped) == 1 and not group_alive(stopped[0]) and not processes_of(name)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_ranks_that_a_killed_launcher_left_are_seen(
    launched: tuple["subprocess.Popen[bytes]", str], tmp_path: Path, nano: Path
) -> None:
    """They must be seen, because a second trainer would write the same checkpoints."""
    process, name = launched
    os.killpg(process.pid, 9)
    while group_alive(process.pid):  # the kernel takes a moment to remove them
        process.poll()
    (rank,) = roots_of(name)
    data = make_data(tmp_path / "data", text_records(64))
    with pytest.raises(Fault, match=f"still being trained. Wait, or stop it: kill {rank}"):
        train(recipe_with(tmp_path), data, tmp_path, base=str(nano), resume=True)
