"""Start `llamafactory-cli train`, keep its log, show how far it is, and stop it with us."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mmafflm.errors import Fault, UsageFault
from mmafflm.recipe import Plan

LOG = "train.log"
POLL_S = 0.5
STOP_S = 20  # what a rank gets to end after SIGTERM
ERROR = re.compile(r"^(?:\[rank\d+\]: *)?((?:[\w.]+\.)?[A-Z]\w*(?:Error|Exception|Interrupt)\b.*)$")


def environment(plan: Plan, out: Path, node_rank: int, master: str | None) -> dict[str, str]:
    """The environment of the launched processes."""
    env = dict(os.environ)
    env["HF_DATASETS_CACHE"] = str(out.resolve() / ".cache")  # never an older Arrow copy of a rebuilt mix
    env["PYTHONUNBUFFERED"] = "1"
    # LLaMA-Factory starts torchrun by name, and nobody said that the environment is activated
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env.get('PATH', '')}"
    if plan.base_is_local:
        env |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
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


def _first_device(env: dict[str, str]) -> str:
    """One process sees one GPU, or LLaMA-Factory starts one for each that it finds."""
    return env.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]


def run(config: Path, out: Path, env: dict[str, str], total_steps: int) -> int:
    """Run LLaMA-Factory over a config until it ends; its output goes to OUT/train.log. Returns its exit code.

    On KeyboardInterrupt every process of the run is stopped before it goes on to the caller.
    """
    cli = Path(sys.executable).parent / "llamafactory-cli"
    if not cli.exists():
        raise Fault(f"{cli}: not there. Training needs the train tier: pip install -c constraints.txt -e '.[train]'")
    with (out / LOG).open("ab") as log:
        log.write(f"\n$ {cli} train {config}\n".encode())
        log.flush()
        # A session of its own: Ctrl-C reaches only us, and we stop the launcher, its ranks and their workers together.
        process = subprocess.Popen(
            [str(cli), "train", str(config)],
            env=env,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    (out / ".group").write_text(str(process.pid))
    try:
        _watch(process, out, total_steps)
    finally:
        stop_group(process)
        (out / ".group").unlink(missing_ok=True)
    return process.returncode


def stop_group(process: "subprocess.Popen[bytes]") -> None:
    """End a run's whole process group: SIGTERM, and after 20 s SIGKILL."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
            if not group_alive(process.pid):
                return


def group_alive(group: int) -> bool:
    """Whether a process of this group still runs (a dead one that nobody waited for does not count)."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            state, _, pgrp = stat.read_text().rpartition(")")[2].split()[:3]
            if int(pgrp) == group and state not in "ZX":
                return True
    return False


def _watch(process: "subprocess.Popen[bytes]", out: Path, total_steps: int) -> None:
    """Follow OUT/trainer_log.jsonl: a bar on a terminal, a line a tenth elsewhere."""
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    said = -1
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("loading", total=total_steps)
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(POLL_S)
            for row in tail(out / "trainer_log.jsonl"):
                step, loss = int(row["current_steps"]), row.get("loss")
                bar.update(task, completed=step, description="training" if loss is None else f"loss {loss:.4f}")
                tenth = step * 10 // total_steps
                if not console.is_terminal and loss is not None and tenth > said:
                    said = tenth
                    console.print(f"step {step} of {total_steps}, loss {loss:.4f}", highlight=False)
            if process.returncode is not None:
                return


def tail(path: Path) -> Iterator[dict[str, Any]]:
    """The last complete row of a JSON Lines file that is being written; nothing when there is none."""
    with contextlib.suppress(FileNotFoundError):
        lines = path.read_bytes().split(b"\n")[:-1]
        if lines and lines[-1]:
            yield json.loads(lines[-1])


def failure(log: Path, code: int, verb: str = "train") -> Fault:
    """The sentence for a run that failed: the last error of its log, and where the rest is."""
    text = log.read_text(encoding="utf-8", errors="replace").rsplit("\n$ ", 1)[-1].splitlines()
    errors = [found.group(1) for line in text if (found := ERROR.match(line.strip()))]
    # torchrun repeats a rank's failure as its own; the rank's is the one to read
    ours = [line for line in errors if "ChildFailedError" not in line and "CalledProcessError" not in line]
    said = ours[-1] if ours else errors[-1] if errors else (text[-1] if text else "it said nothing")
    if code in (-9, 137) and not ours:
        said = "it was killed (SIGKILL), often for want of memory"
    return Fault(f"llamafactory-cli {verb} failed (exit {code}): {said[:500]}. The whole log: {log}")
