"""Start `llamafactory-cli train`, keep its log, and stop it when we stop."""

import contextlib
import errno
import importlib.util
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import gettempdir

from mmafflm.errors import Fault, UsageFault
from mmafflm.files.writing import free_bytes
from mmafflm.orphans import PARENT
from mmafflm.terminal.interrupts import first_interrupt_held
from mmafflm.train.launch.processes import MARK, run_name, stop_group
from mmafflm.train.launch.processes import STOP_S as STOP_S  # for callers that send SIGINT to a run's launcher and wait
from mmafflm.train.plan.plan import Plan
from mmafflm.train.plan.recipe_reach import sends_to_hub

STARTUP = Path(__file__).parent / "startup"  # has sitecustomize.py, which every Python process of a run executes first
POLL_S = 0.5
# Messages of gloo, NCCL and torch's store that a rank logs because another rank has ended.
ECHO = re.compile(
    r"connection (closed|reset|refused)|broken pipe|remote ?error|connection was likely closed|timed? ?out|timeout",
    re.I,
)
# torchrun's own report of the rank that failed first
ROOT_CAUSE = re.compile(r"Root Cause.*?^\s*rank +: (\d+) .*?^\s*exitcode +: (-?\d+) ", re.S | re.M)
ERROR = re.compile(r"^(?:\[(rank)(\d+)\]: *)?((?:[\w.]+\.)?[A-Z]\w*(?:Error|Exception|Interrupt)\b.*)$")


def environment(plan: Plan, out: Path, node_rank: int, master: str | None) -> dict[str, str]:
    """The environment of the launched processes. Raises UsageFault when Ray or a valid --master is missing."""
    env = dict(os.environ)
    env["HF_DATASETS_CACHE"] = str(cache_of(out.resolve(), node_rank))  # or an old Arrow copy of the mix could be used
    env["PYTHONUNBUFFERED"] = "1"
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(STARTUP), env.get("PYTHONPATH")]))
    if not plan.cpu:
        env["RECORD_VRAM"] = "1"  # LLaMA-Factory then logs GPU memory
    env |= {MARK: run_name(out, node_rank), PARENT: str(os.getpid())}
    # LLaMA-Factory looks for torchrun in PATH, and our virtual environment may not be activated
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env.get('PATH', '')}"
    if plan.base_is_local and not sends_to_hub(plan.config):
        env |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    if plan.ray:
        if importlib.util.find_spec("ray") is None:
            raise UsageFault(f"{plan.recipe}: ray_init_kwargs needs Ray on every machine. Install it with: make setup")
        return env | {"USE_RAY": "1", "FORCE_TORCHRUN": "0"}
    if plan.ranks > 1 or "deepspeed" in plan.config:
        env |= {"FORCE_TORCHRUN": "1", "NPROC_PER_NODE": str(plan.gpus)}
    else:
        env |= {"FORCE_TORCHRUN": "0", "CUDA_VISIBLE_DEVICES": _first_device(env)}
    if plan.cpu:
        # use_cpu would turn DeepSpeed off. When no GPU is visible, both DeepSpeed and the Trainer use the CPU
        env |= {"CUDA_VISIBLE_DEVICES": "", "DS_ACCELERATOR": "cpu"}
        # Threads that spin while they wait take time from the data workers. With this setting 20 steps of nano took 4
        # s, without it 8 to 49 s, on two cores next to a busy program.
        env.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        env.setdefault("OMP_NUM_THREADS", str(max(1, len(os.sched_getaffinity(0)) // plan.gpus)))
    if plan.nodes > 1:
        host, _, port = (master or "").partition(":")
        if not host or not port.isdecimal():
            raise UsageFault("--nodes needs --master HOST:PORT, the same on every node (an address of node 0).")
        env |= {"NNODES": str(plan.nodes), "NODE_RANK": str(node_rank), "MASTER_ADDR": host, "MASTER_PORT": port}
    return env


def cache_of(out: Path, node_rank: int) -> Path:
    """The folder of a node's Arrow copy of the mix.

    Each node has its own, because nodes may share OUT, and one may end before another.
    """
    return of_node(out / ".cache", node_rank)


def log_of(out: Path, node_rank: int) -> Path:
    """The log of a node; the first node's is train.log."""
    return of_node(out / "train.log", node_rank)


def of_node(path: Path, node_rank: int) -> Path:
    """The path of one node's file or folder; the first node's has the plain name."""
    return path.with_name(f"{path.stem}.node{node_rank}{path.suffix}") if node_rank else path


def _first_device(env: dict[str, str]) -> str:
    """The one GPU that a single process may see. LLaMA-Factory would start a process for each GPU that it finds."""
    return env.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]


def run(config: Path, out: Path, env: dict[str, str], node_rank: int, beat: Callable[[], None]) -> int:
    """Run LLaMA-Factory with a config until it ends, and return its exit code. Its output goes to the node's log.

    `beat` is called twice a second. An exception from `beat`, or a KeyboardInterrupt, reaches the caller after every
    process of the run has been stopped. Raises Fault when LLaMA-Factory is not installed.
    """
    cli = Path(sys.executable).parent / "llamafactory-cli"
    if not cli.exists():
        raise Fault(f"{cli}: not found. Training needs LLaMA-Factory: make setup")
    with first_interrupt_held() as check_interrupt:
        process = _start(cli, config, log_of(out, node_rank), env)
        try:
            while process.returncode is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(POLL_S)
                check_interrupt()
                beat()
        finally:
            # after a successful run only the process group is stopped: a reporter outside of it may still be uploading
            stop_group(process, env.get(MARK, "") if process.returncode != 0 else "")
    return process.returncode


def _start(cli: Path, config: Path, log: Path, env: dict[str, str]) -> "subprocess.Popen[bytes]":
    """Start LLaMA-Factory in its own session, so that Ctrl-C reaches only us. We then stop all its processes."""
    with log.open("ab") as output:
        output.write(f"\n$ {shlex.join([str(cli), 'train', str(config)])}\n".encode())
        output.flush()
        return subprocess.Popen(
            [str(cli), "train", str(config)],
            env=env,
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )


def failure(log: Path, code: int, verb: str = "train") -> Fault:
    """The Fault for a failed launch, with the error that ended it, taken from its log, and the log's path.

    code: the exit code. verb: the command of llamafactory-cli.
    """
    text = log.read_text(encoding="utf-8", errors="replace").rsplit("\n$ ", 1)[-1]
    said = cause(text)
    if code in (-9, 137) and not said:
        said = "it was killed (SIGKILL), often because memory ran out"
    said = said or (text.splitlines() or ["it printed nothing"])[-1]
    if os.strerror(errno.ENOSPC) in said:  # the messages of PyTorch and safetensors contain no path
        free = f"{free_bytes(log.parent) / 1e6:,.1f} MB", f"{free_bytes(Path(gettempdir())) / 1e6:,.1f} MB"
        said += f" ({free[0]} are free in {log.parent}, {free[1]} in {gettempdir()})"
    return Fault(f"llamafactory-cli {verb} failed (exit {code}): {said[:500]}. The whole log: {log}")


def cause(log: str) -> str:
    """The error that ended a launch, taken from its log; empty when the log has none."""
    found = [hit.groups() for line in log.splitlines() if (hit := ERROR.match(line.strip()))]
    errors = [f"{word} {rank}: {error}" if word else error for word, rank, error in found]
    # torchrun repeats a rank's failure as its own; the rank's own message is the useful one
    ours = [line for line in errors if "ChildFailedError" not in line and "CalledProcessError" not in line]
    causes = [line for line in ours if not ECHO.search(line)] or ours or [""]
    said = causes[-1]
    root = ROOT_CAUSE.search(log)  # a killed rank logs no error; those of the other ranks only follow from its end
    if root and (sign := -int(root.group(2))) in (signal.SIGKILL, signal.SIGSEGV, signal.SIGBUS):
        hint = ", often because memory ran out" if sign == signal.SIGKILL else ""
        said = f"rank {root.group(1)} was killed ({signal.Signals(sign).name}){hint}"
    return said
