"""Kill each command at random points, start it again until it ends, and compare its files with those of a whole run.

A point is drawn from the time that a whole run takes. The kills of one chain hit the same output one after the other:
after each kill the same command is started again. It is killed again until it ends by itself.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

from mmafflm.dataset import Dataset
from mmafflm.records import sha256_of
from tests.data_build.raw_rows import hashes
from tests.eval.made_runs import noisy, records, write_run
from tests.mmafflm.recipes import recipe_with
from tests.mmafflm.tiny_data import make_data, text_records

ENV = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
BUSY = "another process|another command|still being trained"  # the killed one's workers are ending just now


class Case(NamedTuple):
    """A command to kill. `prepare` makes what it needs in a folder; `begin` what lies in OUT before the first start."""

    prepare: Callable[[Path], None]
    words: Callable[[Path, Path], list[str]]  # folder, OUT -> the command
    files: Callable[[Path], dict[str, str]]  # OUT -> what must be the same
    begin: Callable[[Path, Path], None] = lambda folder, out: None


def run(*words: str) -> None:
    subprocess.run([sys.executable, "-m", *words], check=True, env=ENV, capture_output=True)


def _raw(folder: Path) -> None:
    run("data_build", "samples", "--out", f"{folder}/raw", "--subsets", "onlineshopping,FER2013,XED")


def _built(folder: Path) -> None:
    run("data_build", "samples", "--out", f"{folder}/raw", "--subsets", "XED")
    run("data_build", "build", "--raw", f"{folder}/raw", "--out", f"{folder}/built", "--limit", "60", "--jobs", "1")


def _asked(folder: Path) -> None:
    from tests.eval.tiny_tests import make_tests

    run("mmafflm", "standin", "nano", "--out", f"{folder}/nano")
    make_tests(folder / "data", {"XED": 60, "onlineshopping": 60})


def _answered(folder: Path) -> None:
    from tests.data_files import write_data

    rows = {"CHSIMS_SI": records("CHSIMS_SI", 2000), "EWECT_usual": records("EWECT_usual", 2000, languages=("zh",))}
    write_data(folder / "data", rows)


def _given(folder: Path, out: Path) -> None:
    write_run(out, Dataset.open(folder / "data"), ["CHSIMS_SI", "EWECT_usual"], noisy(0.2))


def _trainable(folder: Path) -> None:
    run("mmafflm", "standin", "nano", "--out", f"{folder}/nano")
    make_data(folder / "data", text_records(128))
    recipe_with(folder, save_steps=2, logging_steps=1)


def _predict(folder: Path, out: Path, *more: str) -> list[str]:
    return ["eval", "predict", "--ckpt", f"{folder}/nano", "--data", f"{folder}/data", "--out", str(out), *more]


def _weights(out: Path) -> dict[str, str]:
    return {path.name: sha256_of(path) for path in out.glob("*.safetensors")}


def _answers(out: Path) -> dict[str, str]:
    return {name: digest for name, digest in hashes(out).items() if not name.startswith(".")}


CASES = {
    "build": Case(_raw, lambda folder, out: [
        "data_build", "build", "--raw", f"{folder}/raw", "--out", str(out), "--jobs", "2", "--limit", "40"], hashes),
    "translate": Case(
        _built,
        lambda folder, out: ["data_build", "translate", "--data", str(out), "--to", "es", "--engine", "apertium",
                             "--limit", "30", "--round-trip", "5"],
        hashes,
        lambda folder, out: shutil.copytree(folder / "built", out) and None,
    ),
    "predict": Case(_asked, _predict, _answers),
    "score": Case(_answered, lambda folder, out: ["eval", "score", str(out), "--data", f"{folder}/data"], hashes,
                  _given),
    "training": Case(_trainable, lambda folder, out: [
        "mmafflm", "train", f"{folder}/recipe.yaml", "--data", f"{folder}/data", "--base", f"{folder}/nano",
        "--out", str(out), "--resume"], _weights),
    "cluster": Case(_asked, lambda folder, out: _predict(folder, out, "--jobs", "2"), _answers),
}  # fmt: skip


def killed(name: str, kills: int, seed: int, folder: Path) -> bool:
    """Kill the command `kills` times and print a row; whether every end was that of a whole run."""
    case, random = CASES[name], Random(f"{seed} {name}")
    folder.mkdir(parents=True)
    case.prepare(folder)
    began = time.monotonic()
    case.begin(folder, folder / "whole")
    run(*case.words(folder, folder / "whole"))
    whole_s, expected = time.monotonic() - began, case.files(folder / "whole")
    done = chains = 0
    faults: list[str] = []
    while done < kills:
        out = folder / f"out{chains}"
        case.begin(folder, out)
        hit, said = _chain(case.words(folder, out), random, whole_s, kills - done)
        done, chains = done + hit, chains + 1
        if said:
            faults.append(said)
        elif case.files(out) != expected or not expected:
            faults.append(f"other files in chain {chains}")
        shutil.rmtree(out, ignore_errors=True)
    print(f"| kill -9: {name} | {done} kills in {chains} runs, a whole run {whole_s:.0f} s | {len(faults)} faults |",
          *faults[:3], flush=True)  # fmt: skip
    return not faults


def _chain(words: list[str], random: Random, whole_s: float, most: int) -> tuple[int, str]:
    """How often the command was killed before it ended; and what it said if it ended badly."""
    hit = 0
    while True:
        process = subprocess.Popen([sys.executable, "-m", *words], env=ENV, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True)  # fmt: skip
        try:
            _, said = process.communicate(timeout=random.uniform(0, whole_s) if hit < most else None)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)  # this process only: its workers must notice by themselves
            process.wait()
            hit += 1
            continue
        if process.returncode == 0 and "Traceback" not in said:
            return hit, ""
        if not any(one in said for one in BUSY.split("|")):
            return hit, f"exit code {process.returncode}: {said[-500:]}"
