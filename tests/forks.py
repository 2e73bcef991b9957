"""LLaMA-Factory imported once: its ranks are forks of one process, for tests in which the start is not what is tested.

An interpreter takes ten seconds of CPU to import LLaMA-Factory. `llamafactory-cli` imports it twice, and torchrun and
every rank once more. The process behind Forks imports it once, and then forks: the child has the environment, the
arguments and the output of the program that it stands for. Like those of `mmafflm train`, it begins with our
sitecustomize (mmafflm/train/launch/startup).
"""

import functools
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Self

from mmafflm.orphans import die_with_parent
from mmafflm.train.launch.launch import STARTUP
from tests.paths import ROOT

# What every rank would import for itself; DeepSpeed's Muon takes torch's compiler with it.
SHARED = (
    "llamafactory.train.tuner", "mmafflm.train.run", "deepspeed.comm.mori", "deepspeed.module_inject.auto_ep_layer",
    "deepspeed.ops.op_builder.all_ops", "deepspeed.runtime.superoffload.superoffload_stage3",
    "deepspeed.runtime.zero.muon.muon_optimizer", "deepspeed.runtime.zero.muon.original_muon",
    "fsspec.implementations.cached", "torch.utils.cpp_extension", "torch.utils.file_baton", "torch.utils.tensorboard",
    "torchdata.stateful_dataloader", "transformers.models.qwen2_5_vl.modeling_qwen2_5_vl",
    "transformers.models.qwen2_5_vl.processing_qwen2_5_vl", "transformers.models.qwen2_vl.image_processing_qwen2_vl",
    "transformers.models.qwen2_vl.video_processing_qwen2_vl",
)  # fmt: skip
TRAIN = "from llamafactory.train.tuner import run_exp\nrun_exp()"


class Orders:
    """Asks the process behind Forks to start programs."""

    def __init__(self, process: int, orders: IO[str], answers: IO[str], log: Path) -> None:
        self.process, self.orders, self.answers, self.log = process, orders, answers, log

    def run(
        self, code: str, words: list[str], env: dict[str, str], log: Path, ranks: int = 0,
        beat: Callable[[], None] | None = None,
    ) -> int:  # fmt: skip
        """Run Python source as a program, and return its exit code, of several ranks the first that is not 0.

        env: what differs from the environment here. ranks: as torchrun starts them; 0: a program by itself. log: gets
        the output. `beat` is called twice a second; what it raises ends the program and reaches the caller.
        """
        order = {"code": code, "words": words, "env": env, "log": str(log), "ranks": ranks}
        self.orders.write(json.dumps(order) + "\n")
        self.orders.flush()
        try:
            while not select.select([self.answers], [], [], 0.5)[0]:
                if beat:
                    beat()
        except BaseException:
            os.kill(self.process, signal.SIGUSR1)  # ends the ranks
            self.answers.readline()
            raise
        said = self.answers.readline()
        assert said, f"it ended; see {self.log}"
        if beat:
            beat()
        return int(said)

    def check(self, code: str, words: list[str], folder: Path, ranks: int = 0) -> str:
        """Run a program in a folder that has its cache and its log, and return its output. It must end well."""
        log = folder / "log"
        code_of = self.run(code, words, {"HF_DATASETS_CACHE": str(folder / "cache")}, log, ranks)
        said = log.read_text()
        assert code_of == 0, said[-3000:]
        return said

    def train(self, config: Path, out: Path, env: dict[str, str], node_rank: int, beat: Callable[[], None]) -> int:
        """In place of launch.run: the same ranks with the same environment, without llamafactory-cli and torchrun."""
        ranks = int(env["NPROC_PER_NODE"]) if env["FORCE_TORCHRUN"] == "1" else 0
        return self.run(TRAIN, [str(config)], env, out / "train.log", ranks, beat)


class Forks(Orders):
    """Starts programs as forks. `with` ends the process behind it, and with it every fork."""

    def __init__(self, folder: Path) -> None:
        log = folder / "log"
        path = os.pathsep.join(filter(None, [str(STARTUP), os.environ.get("PYTHONPATH")]))
        env = os.environ | {"PYTHONPATH": path, "HF_DATASETS_CACHE": str(folder / "cache"), "HF_HUB_OFFLINE": "1"}
        env |= {"TRANSFORMERS_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "DS_ACCELERATOR": "cpu"}
        env |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
        # As `mmafflm train` does. Another ninja would compile DeepSpeed's operation again, and the next one yet again.
        env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
        with log.open("wb") as errors:
            self.started = subprocess.Popen(
                [sys.executable, "-m", "tests.forks"], cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=errors, text=True, start_new_session=True,
            )  # fmt: skip
        assert self.started.stdin and self.started.stdout
        super().__init__(self.started.pid, self.started.stdin, self.started.stdout, log)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.orders.close()
        self.started.wait()
        self.answers.close()


def main() -> None:
    """Read orders from the standard input, one a line, and answer each with an exit code."""
    die_with_parent(os.getppid())
    import_all()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what LLaMA-Factory prints is no answer
    children: dict[int, int] = {}

    def end(*_: Any) -> None:
        for child in children:
            os.kill(child, signal.SIGKILL)

    signal.signal(signal.SIGUSR1, end)
    for line in sys.stdin:
        order = json.loads(line)
        ranks, port, parent = order["ranks"], free_port(), os.getpid()
        for rank in range(max(1, ranks)):
            child = os.fork()
            if child == 0:
                os._exit(run_as(order, rank, port, parent))
            children[child] = rank
        code = 0
        while children:
            ended, status = os.wait()
            del children[ended]
            if (one := os.waitstatus_to_exitcode(status)) and not code:
                code = one
                end()
        answers.write(f"{code}\n")
        answers.flush()


def import_all() -> None:
    """Import what every rank would import, and look up once what every rank would look up."""
    gc.disable()  # imports make no garbage worth looking for
    for module in SHARED:
        importlib.import_module(module)
    from deepspeed.utils import numa
    from transformers import AutoModelForImageTextToText

    AutoModelForImageTextToText._model_mapping.keys()  # LLaMA-Factory asks for them, which imports 70 configurations
    numa.get_numa_cores = functools.cache(numa.get_numa_cores)  # ZeRO starts a process here for each bucket
    gc.collect()
    gc.freeze()  # so that a fork's collections neither visit these objects nor copy their pages
    gc.enable()


def run_as(order: dict[str, Any], rank: int, port: int, parent: int) -> int:
    """Be the program of an order, with its environment and output; returns its exit code."""
    import datasets

    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    os.setsid()
    die_with_parent(parent)
    os.environ.update(order["env"])
    datasets.config.HF_DATASETS_CACHE = Path(os.environ["HF_DATASETS_CACHE"])  # read from the environment at import
    if order["ranks"]:
        os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(order["ranks"]))
        os.environ.update(LOCAL_WORLD_SIZE=str(order["ranks"]), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    log = os.open(order["log"], os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for stream in (1, 2):
        os.dup2(log, stream)
    sys.argv = ["program", *order["words"]]
    code = 0
    try:
        exec(compile(order["code"], "program", "exec"), {"__name__": "__main__"})
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def free_port() -> int:
    """A port of this machine for the ranks to meet at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


if __name__ == "__main__":
    main()
