"""Two nodes, as network namespaces of this machine: one is killed during the run, and the other reports it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mmafflm.train.run as train_module
import mmafflm.train.watch.nodes as nodes_module
import mmafflm.train.watch.stall as stall_module
from mmafflm.errors import Fault, UsageFault
from mmafflm.train.launch.launch import STARTUP, environment, failure
from mmafflm.train.plan.plan import plan
from mmafflm.train.run import train
from tests.forks import Forks
from tests.mmafflm.recipes import RECIPES, recipe_with
from tests.mmafflm.tiny_data import losses, make_data, text_records
from tests.paths import ROOT

MASTER = "10.77.0.1:29400"  # in a separate namespace, so the port is free


def ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"network namespaces are not permitted here: ip {' '.join(words)}: {done.stderr.strip()}")


@pytest.fixture
def hosts() -> Iterator[list[str]]:
    """Two namespaces with an Ethernet link between them, 10.77.0.1 and 10.77.0.2."""
    if not shutil.which("ip"):
        pytest.skip("no ip command here (apt-get install iproute2)")
    names = [f"mmafflm-{os.getpid()}-{side}" for side in "ab"]
    try:
        for name in names:
            ip("netns", "add", name)
        ip("link", "add", "wire", "netns", names[0], "type", "veth", "peer", "name", "wire", "netns", names[1])
        for number, name in enumerate(names, start=1):
            ip("-n", name, "address", "add", f"10.77.0.{number}/24", "dev", "wire")
            ip("-n", name, "link", "set", "wire", "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield names
    finally:
        for name in names:
            kill_all(name)
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)


def kill_all(host: str) -> None:
    """Send SIGKILL to every process of a namespace, like a power cut."""
    found = subprocess.run(["ip", "netns", "pids", host], capture_output=True, text=True).stdout.split()
    for pid in found:
        os.kill(int(pid), signal.SIGKILL)


def start(host: str, rank: int, recipe: Path, data: Path, out: Path, base: str) -> "subprocess.Popen[str]":
    words = ["train", str(recipe), "--data", str(data), "--out", str(out), "--base", base, "--gpus", "1"]
    words += ["--nodes", "2", "--node-rank", str(rank), "--master", MASTER]
    env = os.environ | {"GLOO_SOCKET_IFNAME": "wire", "OMP_NUM_THREADS": "1"}
    command = ["ip", "netns", "exec", host, sys.executable, "-m", "mmafflm", *words]
    return subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True)


def steps_logged(run: Path) -> int:
    return len((run / "trainer_log.jsonl").read_text().splitlines()) if (run / "trainer_log.jsonl").exists() else 0


@pytest.mark.slow
def test_a_node_is_lost_and_the_job_goes_on(tmp_path: Path, base: str, hosts: list[str], forks: Forks) -> None:
    """ZeRO-3 over gloo, one rank per host; both see the run's folder, as on a shared disk. Forks resume it."""
    data = make_data(tmp_path / "data", text_records(163))
    recipe = recipe_with(
        tmp_path, deepspeed="deepspeed/zero3.json", global_batch=8, per_device_train_batch_size=2, logging_steps=1,
        save_steps=4,
    )  # fmt: skip
    run = tmp_path / "run"
    both = [start(host, rank, recipe, data.path, run, base) for rank, host in enumerate(hosts)]
    while steps_logged(run) < 6:
        assert both[0].poll() is None and both[1].poll() is None, [one.communicate()[1] for one in both]
        time.sleep(0.05)
    kill_all(hosts[1])
    said = both[0].communicate(timeout=900)[1]
    assert both[0].returncode == 1 and both[1].wait() != 0
    assert "node 1 (rank 1) ended without an error message" in said.splitlines()[-1]
    assert not subprocess.run(["ip", "netns", "pids", hosts[0]], capture_output=True, text=True).stdout.split()
    before = losses(run)

    code, words = "from tests.mmafflm.train.watch.node_fork import main\nmain()", [recipe, data.path, run, base, MASTER]
    log = tmp_path / "log"
    ended = forks.run(code, [*map(str, words), *hosts], {"GLOO_SOCKET_IFNAME": "wire"}, log, ranks=2)
    said = log.read_text()
    assert not ended, said[-3000:]
    assert "with the remaining" in said and "trained 20 steps, 160 examples" in said
    assert json.loads((run / "run.json").read_text())["finished"]
    after = losses(run)
    assert len(after) == 20
    assert [after[step] for step in (5, 6)] == pytest.approx([before[step] for step in (5, 6)], rel=1e-5)


TORCHRUN = """
[rank2]: ConnectionResetError: [Errno 104] Connection reset by peer
[rank2]: RuntimeError: [gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:28401
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
Root Cause (first observed failure):
[0]:
  time      : 2026-11-24_19:00:00
  host      : gpu7
  rank      : 3 (local_rank: 1)
  exitcode  : -9 (pid: 4711)
  error_file: <N/A>
  traceback : Signal 9 (SIGKILL) received by PID 4711
"""


def test_a_rank_that_was_killed_is_named(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_text(TORCHRUN)
    said = str(failure(tmp_path / "train.log", 1))
    assert "(exit 1): rank 3 was killed (SIGKILL), often because memory ran out. The whole log" in said
    (tmp_path / "train.log").write_text(TORCHRUN.replace("-9", "1"))
    assert "(exit 1): rank 2: RuntimeError: [gloo" in str(failure(tmp_path / "train.log", 1))
    worker = "[rank1]: RuntimeError: DataLoader worker (pid 6912) is killed by signal: Killed. "
    (tmp_path / "train.log").write_text(worker + TORCHRUN.replace("-9", "1"))
    assert "(exit 1): rank 1: RuntimeError: DataLoader worker" in str(failure(tmp_path / "train.log", 1))
    (tmp_path / "train.log").write_text("[rank0]: OSError: [Errno 28] No space left on device\n")
    assert f" MB are free in {tmp_path}, " in str(failure(tmp_path / "train.log", 1)), "the error names no folder"


class Clock:
    """A clock that advances by the time slept."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for module in (nodes_module, stall_module):
        monkeypatch.setattr(module, "time", made)
    return made


def train_second(folder: Path, base: str) -> None:
    """`mmafflm train` on node 1 of two."""
    data = make_data(folder / "data", text_records(64))
    recipe = recipe_with(folder)
    train(recipe, data, folder / "run", nodes=2, node_rank=1, master=MASTER, base=base, gpus=1)


def test_the_other_nodes_need_the_folder_of_the_first(tmp_path: Path, base: str, clock: Clock) -> None:
    with pytest.raises(UsageFault, match=r"node 0 has not started a run here.*one folder that every node sees"):
        train_second(tmp_path, base)


ECHO = "RuntimeError: [gloo/transport/tcp/pair.cc:547] Connection closed by peer [10.0.0.2]:4711"


def begin(out: Path) -> None:
    """Node 0 has begun the run; its log has an earlier launch."""
    out.mkdir()
    (out / "run.json").write_text('{"schema": 1, "finished": false}')
    (out / "train.log").write_text("ValueError: of the launch before\n")


@pytest.mark.parametrize(
    ("own", "of_first", "said"),
    [
        (
            ECHO,
            "ValueError: no such template",
            r"^node 0 \(rank 0\) failed first: ValueError: no such template\. Its log",
        ),
        (
            ECHO,
            "",
            r"^node 0 \(rank 0\) ended without an error message: killed, .* run the same command with --resume on",
        ),
        (ECHO, ECHO, r"\(exit 1\): RuntimeError: .*Connection closed by peer.*The whole log: .*train\.node1\.log$"),
        (
            "KeyError: 'own'",
            "ValueError: of node 0",
            r"\(exit 1\): KeyError: 'own'\. The whole log: .*train\.node1\.log$",
        ),
    ],
)
def test_the_node_that_fell_first_is_named(
    own: str, of_first: str, said: str, tmp_path: Path, base: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(config: Path, out: Path, env: dict[str, str], node_rank: int, beat: Any) -> int:
        (out / "train.node1.log").write_text(f"{own}\n")
        with (out / "train.log").open("a") as log:
            log.write(f"\n$ llamafactory-cli train\n{of_first}\n")
        return 1

    begin(tmp_path / "run")
    monkeypatch.setattr(train_module, "run", fails)
    with pytest.raises(Fault, match=said):
        train_second(tmp_path, base)


def test_every_node_ends_a_run_that_hangs(
    tmp_path: Path, base: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Node 0 is frozen after its third step, so no process there can report it."""

    def waits(config: Path, out: Path, env: dict[str, str], node_rank: int, beat: Any) -> int:
        for step in range(3):
            clock.now += 20
            with (out / "trainer_log.jsonl").open("a") as log:
                log.write(f'{{"current_steps": {step + 1}, "loss": 2.0}}\n')
            beat()
        for _ in range(200):
            clock.now += 5
            beat()
        raise AssertionError("nobody saw it")

    begin(tmp_path / "run")
    monkeypatch.setattr(train_module, "run", waits)
    with pytest.raises(
        Fault, match=r"run: stopped, nothing was written for 10 min .*it hangs\. Look at the other nodes"
    ):
        train_second(tmp_path, base)


SBATCH = ROOT / "train_configs/slurm/train.sbatch"
STAND_INS = {
    "scontrol": '[ "$*" = "show hostnames gpu[7-8]" ] && printf "gpu7\\ngpu8\\n"',
    "srun": """while [ "${1#-}" != "$1" ]; do echo "$1"; shift; done
for node in 0 1; do SLURM_NODEID=$node "$@"; done""",
    "mmafflm": 'printf "[%s]" "$@"; echo',
}


def test_the_slurm_script_starts_every_node(tmp_path: Path) -> None:
    """With fakes for srun (runs both nodes one after the other) and scontrol; Slurm itself is not installed here."""
    for name, body in STAND_INS.items():
        (tmp_path / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    slurm = {"SLURM_JOB_NODELIST": "gpu[7-8]", "SLURM_NNODES": "2", "SLURM_GPUS_ON_NODE": "8", "SLURM_JOB_ID": "20007"}
    env = os.environ | slurm | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "MMAFFLM": str(tmp_path / "mmafflm")}
    words = ["train_configs/mmafflm-7b.yaml", "--data", "my data", "--out", "runs/7b"]
    done = subprocess.run(["bash", str(SBATCH), *words], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    common = ["train", *words, "--resume", "--gpus", "8", "--nodes", "2"]
    started = [[*common, "--node-rank", str(node), "--master", "gpu7:20007"] for node in (0, 1)]
    said = done.stdout.splitlines()
    assert said[-2:] == ["".join(f"[{word}]" for word in words) for words in started]
    assert said[:-2] == ["--ntasks-per-node=1", "--kill-on-bad-exit=1"]  # one failed task ends all


def test_ray_takes_the_ranks_from_the_plan(tmp_path: Path, base: str, monkeypatch: Any) -> None:
    data = make_data(tmp_path / "data", text_records(1300))
    planned = plan(RECIPES / "mmafflm-7b-ray.yaml", data, gpus=8, nodes=2, base=base)
    assert planned.ray and planned.config["ray_num_workers"] == planned.ranks == 16
    with monkeypatch.context() as without:
        without.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(UsageFault, match="needs Ray on every machine"):
            environment(planned, tmp_path, 0, None)
    env = environment(planned, tmp_path, 0, None)
    assert (env["USE_RAY"], env["FORCE_TORCHRUN"]) == ("1", "0")
    monkeypatch.setenv("PYTHONPATH", "/mine")
    assert environment(planned, tmp_path, 0, None)["PYTHONPATH"] == f"{STARTUP}:/mine"  # see test_rope.py
