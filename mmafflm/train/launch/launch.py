"""Start `llamafactory-cli train`, keep its log, and stop it with us."""

import contextlib
import importlib.util
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from mmafflm.errors import Fault, UsageFault
from mmafflm.train.launch.processes import MARK, first_interrupt_held, run_name, stop_group
from mmafflm.train.launch.processes import STOP_S as STOP_S  # for who sends a run's launcher SIGINT and waits
from mmafflm.train.plan.plan import Plan
from mmafflm.train.plan.recipe_reach import sends_to_hub

STARTUP = Path(__file__).parent / "startup"  # what every Python of a run begins with
POLL_S = 0.5
# What a rank says when another one has gone, over gloo, NCCL and torch's store.
ECHO = re.compile(
    r"connection (closed|reset|refused)|broken pipe|remote ?error|connection was likely closed|timed? ?out|timeout",
    re.I,
)
# torchrun's own account of the rank that fell first
ROOT_CAUSE = re.compile(r"Root Cause.*?^\s*rank +: (\d+) .*?^\s*exitcode +: (-?\d+) ", re.S | re.M)
ERROR = re.compile(r"^(?:\[(rank)(\d+)\]: *)?((?:[\w.]+\.)?[A-Z]\w*(?:Error|Exception|Interrupt)\b.*)$")


def environment(plan: Plan, out: Path, node_rank: int, master: str | None) -> dict[str, str]:
    """The environment of the launched processes."""
    env = dict(os.environ)
    env["HF_DATASETS_CACHE"] = str(cache_of(out.resolve(), node_rank))  # never an older Arrow copy of a rebuilt mix
    env["PYTHONUNBUFFERED"] = "1"
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(STARTUP), env.get("PYTHONPATH")]))
    if not plan.cpu:
        env["RECORD_VRAM"] = "1"  # LLaMA-Factory then logs GPU memory
    env[MARK] = run_name(out, node_rank)
    # LLaMA-Factory starts torchrun by name, and nobody said that the environment is activated
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env.get('PATH', '')}"
    if plan.base_is_local and not sends_to_hub(plan.config):
        env |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    if plan.ray:
        if importlib.util.find_spec("ray") is None:
            raise UsageFault(f"{plan.recipe}: ray_init_kwargs needs Ray on every machine: pip install 'ray[default]'")
        return env | {"USE_RAY": "1", "FORCE_TORCHRUN": "0"}
    if plan.ranks > 1 or "deepspeed" in plan.config:
        env |= {"FORCE_TORCHRUN": "1", "NPROC_PER_NODE": str(plan.gpus)}
    else:
        env |= {"FORCE_TORCHRUN": "0", "CUDA_VISIBLE_DEVICES": _first_device(env)}
    if plan.cpu:
        # use_cpu would turn DeepSpeed off; without a GPU in sight both it and the Trainer take the CPU
        env |= {"CUDA_VISIBLE_DEVICES": "", "DS_ACCELERATOR": "cpu"}
        # Threads that spin while they wait starve the data workers: 4 s for 20 steps of nano instead of 8 to 49,
        # on two cores with a busy neighbour.
        env.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        env.setdefault("OMP_NUM_THREADS", str(max(1, len(os.sched_getaffinity(0)) // plan.gpus)))
    if plan.nodes > 1:
        host, _, port = (master or "").partition(":")
        if not host or not port.isdecimal():
            raise UsageFault("--nodes needs --master HOST:PORT, the same on every node (an address of node 0).")
        env |= {"NNODES": str(plan.nodes), "NODE_RANK": str(node_rank), "MASTER_ADDR": host, "MASTER_PORT": port}
    return env


def cache_of(out: Path, node_rank: int) -> Path:
    """Where a node keeps its Arrow copy of the mix: nodes may see one folder, and one may end before another."""
    return of_node(out / ".cache", node_rank)


def log_of(out: Path, node_rank: int) -> Path:
    """The log of a node: train.log of the first."""
    return of_node(out / "train.log", node_rank)


def of_node(path: Path, node_rank: int) -> Path:
    """A file or folder of one node; the first one's has the plain name."""
    return path.with_name(f"{path.stem}.node{node_rank}{path.suffix}") if node_rank else path


def _first_device(env: dict[str, str]) -> str:
    """One process sees one GPU, or LLaMA-Factory starts one for each that it finds."""
    return env.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]


def run(config: Path, out: Path, env: dict[str, str], node_rank: int, beat: Callable[[], None]) -> int:
    """Run LLaMA-Factory over a config until it ends; its output goes to OUT/train.log. Returns its exit code.

    `beat` is called twice a second. What it raises, or a KeyboardInterrupt, goes on to the
    caller when every process of the run has been stopped.
    """
    cli = Path(sys.executable).parent / "llamafactory-cli"
    if not cli.exists():
        raise Fault(f"{cli}: not there. Training needs LLaMA-Factory: make setup")
    with first_interrupt_held() as check_interrupt:
        process = _start(cli, config, log_of(out, node_rank), env)
        try:
            while process.returncode is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(POLL_S)
                check_interrupt()
                beat()
        finally:
            # of a run that ended well nothing is killed: what is left may be a reporter that still uploads
            stop_group(process, env.get(MARK, "") if process.returncode != 0 else "")
    return process.returncode


def _start(cli: Path, config: Path, log: Path, env: dict[str, str]) -> "subprocess.Popen[bytes]":
    """A session of its own: Ctrl-C reaches only us, and we stop the launcher, its ranks and their workers in turn."""
    with log.open("ab") as output:
        output.write(f"\n$ {cli} train {config}\n".encode())
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
    """The sentence for a run that failed: the last error of its log, and where the rest is."""
    text = log.read_text(encoding="utf-8", errors="replace").rsplit("\n$ ", 1)[-1]
    said = cause(text)
    if code in (-9, 137) and not said:
        said = "it was killed (SIGKILL), often for want of memory"
    said = said or (text.splitlines() or ["it said nothing"])[-1]
    return Fault(f"llamafactory-cli {verb} failed (exit {code}): {said[:500]}. The whole log: {log}")


def cause(log: str) -> str:
    """The error that a launch ended with, out of its log; empty where there is none."""
    found = [hit.groups() for line in log.splitlines() if (hit := ERROR.match(line.strip()))]
    errors = [f"{word} {rank}: {error}" if word else error for word, rank, error in found]
    # torchrun repeats a rank's failure as its own; the rank's is the one to read
    ours = [line for line in errors if "ChildFailedError" not in line and "CalledProcessError" not in line]
    causes = [line for line in ours if not ECHO.search(line)] or ours or [""]
    said = causes[-1]
    root = ROOT_CAUSE.search(log)  # the ranks that then lost it say more, and nothing of use
    if root and (sign := -int(root.group(2))) in (signal.SIGKILL, signal.SIGSEGV, signal.SIGBUS):
        hint = ", often for want of memory" if sign == signal.SIGKILL else ""
        said = f"rank {root.group(1)} was killed ({signal.Signals(sign).name}){hint}"
    return said
