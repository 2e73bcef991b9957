"""While a run trains, evaluate its checkpoints on a small fixed sample of each subset, to detect collapse and drift.

Generation inside the run is refused under ZeRO-3, and would occupy every GPU. So it happens outside the run: mmaffben's
commands predict, score and diagnose run over the validation split, on a GPU that the run does not use or else on the
CPU. They evaluate one checkpoint at a time, the newest that is due, at the lowest priority. Training never waits for
them.
"""

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import time
from fnmatch import fnmatch
from pathlib import Path

from mmafflm.checkpoints import is_whole, numbered
from mmafflm.errors import Fault
from mmafflm.records import append_jsonl, drop_torn_line, read_jsonl, write_jsonl
from mmafflm.run_file import RUN
from mmafflm.terminal.command import say
from mmafflm.train.launch.processes import stop_group
from mmafflm.train.launch.tensorboard import Curves
from mmafflm.train.plan.plan import Plan, gpus_here
from mmafflm.train.watch.validation_row import ROWS, points, validation_row

FOLDER = "validation"
PROCESSOR = ("preprocessor_config.json", "processor_config.json")  # saved after the weights
TRAINERS = ("optimizer.*", "scheduler.*", "rng_state*", "training_args.bin", "zero_to_fp32.py", "latest")
NICE = 19
LONGEST_S = 3600.0  # seconds that a finished run waits for its last validation
CORES_SHARE = 4  # on the CPU, use a quarter of the cores, because the run's data workers need the others


class Validation:
    """Evaluates the checkpoints of OUT. start: the step from which the run continues (0: none); rows: per subset."""

    def __init__(self, out: Path, data: Path, plan: Plan, every: int, rows: int, start: int, curves: Curves) -> None:
        self.out, self.data, self.every, self.rows, self.curves = out, data, every, rows, curves
        self.gpu = spare_gpu(plan)
        self.idle_gpus = not plan.cpu and not self.gpu  # a CPU takes minutes where a GPU takes seconds
        self.done = _keep_until(out, start)
        self.whole: set[int] = set()  # checkpoints that were complete at the last look
        self.step, self.began, self.commands = 0, 0.0, list[list[str]]()
        self.process: subprocess.Popen[bytes] | None = None

    def beat(self) -> None:
        """Continue the current validation, or begin with the newest checkpoint that is due."""
        if self.process is not None:
            if self.process.poll() is None:
                return
            self._ended(self.process.returncode)
        elif (step := self._due()) is not None:
            self._begin(step)

    def finish(self) -> None:
        """Wait for the current validation and that of the last checkpoint, unless GPUs would be idle meanwhile.

        It waits an hour at most; close() then stops a validation that hangs.
        """
        if self.idle_gpus:
            if self.process is not None:
                say(f"step {self.step} is not validated: the run has ended and does not wait for it.")
            return
        self._due()  # a checkpoint counts once it was complete at two looks
        self.beat()
        until = time.monotonic() + LONGEST_S
        while self.process is not None:
            if time.monotonic() > until:
                say(f"step {self.step} is not validated: it took more than an hour after the run had ended.")
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.5)
            self.beat()  # starts the next command
            if self.process is None:
                self.beat()  # starts with the last checkpoint

    def close(self) -> None:
        """Stop the current validation and remove its links. A resumed run begins the validation again."""
        if self.process is not None:
            stop_group(self.process)
            self.process = None
        for link in (self.out / FOLDER).glob("checkpoint-*"):
            shutil.rmtree(link)

    def _due(self) -> int | None:
        """The newest checkpoint that is due and was complete at two calls in a row (the processor is saved last)."""
        found, newest_asked = set(), max(self.done, default=0)
        for step, path in numbered(self.out).items():
            due = step % self.every == 0 and step > newest_asked
            if due and is_whole(path) and any((path / one).exists() for one in PROCESSOR):
                found.add(step)
        newest = max(found & self.whole, default=None)
        self.whole = found
        return newest

    def _begin(self, step: int) -> None:
        self.done.add(step)  # whether it succeeds or not
        run = str(self.out / FOLDER / f"step-{step}")
        try:
            link = hold(self.out / f"checkpoint-{step}", self.out / FOLDER)
        except OSError as error:
            say(f"step {step} is not validated: its checkpoint cannot be linked ({error.strerror}).")
            return
        where = ["--data", str(self.data)]
        self.step, self.began = step, time.monotonic()
        self.commands = [
            ["predict", "--ckpt", str(link), *where, "--out", run, "--split", "val", "--limit", str(self.rows)],
            ["score", run, *where],
            ["diagnose", run, *where],
        ]
        self._next()

    def _next(self) -> None:
        words = self.commands.pop(0)
        command = ["nice", "-n", str(NICE), str(Path(sys.executable).parent / "mmaffben"), *words]
        threads = max(1, len(os.sched_getaffinity(0)) // CORES_SHARE)
        env = os.environ | {"CUDA_VISIBLE_DEVICES": self.gpu, "OMP_NUM_THREADS": str(threads)}
        with (self.out / FOLDER / "validation.log").open("ab") as log:
            log.write(f"\n$ mmaffben {shlex.join(words)}\n".encode())
            log.flush()
            self.process = subprocess.Popen(
                command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def _ended(self, code: int) -> None:
        if code == 0 and self.commands:
            self._next()
            return
        self.process = None
        shutil.rmtree(self.out / FOLDER / f"checkpoint-{self.step}", ignore_errors=True)
        if code:
            log = self.out / FOLDER / "validation.log"
            last = log.read_text(encoding="utf-8", errors="replace").rstrip().rpartition("\n")[2]
            say(f"step {self.step} is not validated ({last[:300]}); training continues. The log: {log}")
            return
        try:
            row = validation_row(self.out / FOLDER / f"step-{self.step}", self.data, self.step)
        except Fault as fault:
            say(f"step {self.step} is not validated: {fault}")
            return
        row["took_s"] = round(time.monotonic() - self.began, 1)
        row["device"] = f"GPU {self.gpu}" if self.gpu else "CPU"
        append_jsonl(self.out / ROWS, [row])
        self.curves.add(self.step, points(row))
        said = (
            f"{name} {'-' if one['score'] is None else format(one['score'], '.3f')} "
            f"(unparsed {one['unparsed_share']:.0%})"
            for name, one in row["tasks"].items()
        )
        say(f"step {self.step} validated: {', '.join(said)}")


def spare_gpu(plan: Plan) -> str:
    """A GPU of this machine that the run does not use, as a value of CUDA_VISIBLE_DEVICES; empty when all are used."""
    here = gpus_here()
    if plan.cpu or here <= plan.gpus:
        return ""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",")[-1].strip() if visible else str(here - 1)


def hold(checkpoint: Path, folder: Path) -> Path:
    """A folder of hard links to a checkpoint's model files, which the trainer may delete meanwhile.

    Nothing is copied. run.json is linked too, because predict compares its media budget. Raises OSError when a
    file cannot be linked, as on a file system without hard links.
    """
    held = folder / checkpoint.name
    shutil.rmtree(held, ignore_errors=True)
    held.mkdir(parents=True)
    for path in (*checkpoint.iterdir(), checkpoint.parent / RUN):
        if path.is_file() and not any(fnmatch(path.name, pattern) for pattern in TRAINERS):
            os.link(path, held / path.name)
    return held


def _keep_until(out: Path, start: int) -> set[int]:
    """The steps up to `start` that have been validated. The rows and answers of later steps are removed, because these
    steps are trained again.
    """
    path = out / ROWS
    drop_torn_line(path)
    rows = list(read_jsonl(path)) if path.exists() else []
    kept = [row for row in rows if row["step"] <= start]
    if len(kept) < len(rows):
        write_jsonl(path, kept)
    for run in (out / FOLDER).glob("step-*"):
        if int(run.name.removeprefix("step-")) > start:
            shutil.rmtree(run)
    return {int(row["step"]) for row in kept}
