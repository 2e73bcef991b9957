"""`mmaffben predict --jobs N`: the same command in N processes, each with its share of the records."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from eval.ask.likelihoods import Weighing
from eval.ask.predict import chosen_records
from eval.run.run_folder import RunFolder
from eval.run.selection import Selection
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault, UsageFault
from mmafflm.terminal.command import STOPPED, say
from mmafflm.terminal.progress_bar import progress

LOOK_EVERY_S = 0.5
ENDED = (STOPPED, -signal.SIGTERM)  # exit codes of a stopped process, stopped by us or by whoever stops us


def predict_in_jobs(
    words: Sequence[str],
    jobs: int,
    data: Dataset,
    out: Path,
    split: str,
    subsets: list[str] | None,
    selection: Selection,
    readout: str = "greedy",
) -> None:
    """Run the command line `words` (without the program) in `jobs` processes and wait for them.

    With GPUs, each process gets its own share of them; without, the processes divide the cores. When one process fails,
    the others stop, their answers are kept, and the error message of the failed one is raised as a Fault.
    """
    if jobs < 1:
        raise UsageFault("--jobs is 1 or more")
    folder, chosen = RunFolder(out), chosen_records(data, split, subsets, selection)
    weighing = Weighing(folder, data, chosen, readout, selection.limit)
    rows = chosen | weighing.rows  # for progress: a weighed subset is counted by its likelihoods only
    files = dict.fromkeys(chosen, folder) | dict.fromkeys(weighing.rows, weighing.folder)
    there = _count(files)
    with ExitStack() as held:
        logs = [held.enter_context(TemporaryFile()) for _ in range(jobs)]
        started = [_start(words, number, jobs, log) for number, log in enumerate(logs)]
        try:
            with progress("predict", _by_modality({name: len(of) for name, of in rows.items()}) - there) as advance:
                while any(job.poll() is None for job in started) and not any(job.poll() for job in started):
                    time.sleep(LOOK_EVERY_S)
                    now = _count(files)
                    advance(now - there)
                    there |= now  # keep the maximum: a file that is being merged is missing for a moment
        finally:
            _stop(started)
        for job, log in zip(started, logs, strict=True):
            if job.returncode not in (0, *ENDED):
                raise _fault(log, job.returncode)
        if any(job.returncode for job in started):
            raise Fault(f"{out}: one of the {jobs} processes was stopped. Run the same command again to resume.")
    say(f"{out}: {sum(map(len, rows.values()))} answers by {jobs} processes.")


def _count(files: Mapping[str, RunFolder]) -> Counter[str]:
    """How many rows of each modality are answered or weighed so far; files: each name's run folder."""
    return _by_modality({name: folder.count([name]) for name, folder in files.items()})


def _by_modality(rows: Mapping[str, int]) -> Counter[str]:
    count = Counter[str]()
    for name, number in rows.items():
        count[benchmark()[name.removesuffix(".val")].modality] += number
    return count


def _start(words: Sequence[str], number: int, jobs: int, log: IO[bytes]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "eval", *_without_jobs(words), "--shard", f"{number + 1}/{jobs}"]
    env = dict(os.environ)
    if gpus := _gpus():
        # as many processes as GPUs: one GPU each; more GPUs than processes: several GPUs each
        env["CUDA_VISIBLE_DEVICES"] = ",".join(gpus[number % len(gpus) :: jobs])
    elif "OMP_NUM_THREADS" not in env:
        env["OMP_NUM_THREADS"] = str(max(1, len(os.sched_getaffinity(0)) // jobs))
    return subprocess.Popen(command, stdout=log, stderr=log, env=env)


def _without_jobs(words: Sequence[str]) -> list[str]:
    kept, skip = [], False
    for word in words:
        if not (skip or word == "--jobs" or word.startswith("--jobs=")):
            kept.append(word)
        skip = word == "--jobs"
    return kept


def _gpus() -> list[str]:
    """The GPUs that this process may use, as named in CUDA_VISIBLE_DEVICES."""
    if named := os.environ.get("CUDA_VISIBLE_DEVICES"):
        return named.split(",")
    try:
        import torch
    except ModuleNotFoundError:
        return []
    return [str(number) for number in range(torch.cuda.device_count())]


def _stop(started: Sequence[subprocess.Popen[bytes]]) -> None:
    for job in started:
        if job.poll() is None:
            job.terminate()  # like Ctrl-C: answers so far are kept
    for job in started:
        job.wait()


def _fault(log: IO[bytes], code: int) -> Fault:
    """The error message that a process ended with, or else the end of its output."""
    log.seek(0)
    lines = log.read().decode(errors="replace").strip().splitlines()
    said = next((line for line in reversed(lines) if line.startswith("error: ")), "")
    kind = UsageFault if code == 2 else Fault
    return kind(said.removeprefix("error: ") or f"a process of predict ended with code {code}: {' '.join(lines[-5:])}")
