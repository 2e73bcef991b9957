"""`python -m tests.planted`: plant faults drawn at random, one at a time, and count those that fast tests notice.

    python -m tests.planted --count 100 --seed 1

A copy of the tree gets the fault; the tests that belong to the file run there, without the slow ones, at most
LONGEST_S. Each line of the output is a fault that was noticed or not. A fault that changes nothing that a caller can
see is not noticed either: read what is left.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from tests.paths import ROOT
from tests.planted.faults import Planted, faults

LONGEST_S = 60
PLAN = "tests/mmafflm/train/plan"
TESTS = {  # a product file or folder, and what tests it in under LONGEST_S
    "eval/score": ["tests/eval/score"],
    "eval/run/selection.py": ["tests/eval/run/test_selection.py"],
    "mmafflm/sampling.py": ["tests/eval/run/test_selection.py"],
    "data_build/mix": ["tests/data_build/mix"],
    "data_build/leaks": ["tests/data_build/leaks"],
    "mmafflm/train/plan/recipe_file.py": [PLAN],
    "mmafflm/train/plan/recipe_reach.py": [PLAN],
    "mmafflm/train/plan/plan.py": [PLAN],
    "mmafflm/train/stream": ["tests/mmafflm/train/stream"],
    "mmafflm/records.py": ["tests/mmafflm/test_records.py"],
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.planted")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="of files whose path has this in it; all by default")
    asked = parser.parse_args()
    every = [
        (path, tests, fault)
        for place, tests in TESTS.items()
        for path in ([ROOT / place] if place.endswith(".py") else sorted((ROOT / place).glob("*.py")))
        if asked.only in str(path.relative_to(ROOT))
        for fault in faults(path.read_text(encoding="utf-8"))
    ]
    drawn = Random(asked.seed).sample(every, min(asked.count, len(every)))
    noticed = 0
    with tempfile.TemporaryDirectory() as made:
        tree = Path(made) / "tree"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(".*", "__pycache__", "runs", "raw", "data"))
        for tests in {tuple(tests): tests for _, tests, _ in drawn}.values():
            code, seconds = _run(tree, tests)
            if code:
                parser.error(f"{' '.join(tests)}: does not pass in {LONGEST_S} s without a fault")
            print(f"{' '.join(tests)}: {seconds:.0f} s without a fault", flush=True)
        for path, tests, fault in drawn:
            noticed += _noticed(tree, path.relative_to(ROOT), tests, fault)
    print(f"{noticed} of {len(drawn)} faults noticed; {len(every)} could be planted")
    return 0


def _noticed(tree: Path, path: Path, tests: list[str], fault: Planted) -> bool:
    """Plant the fault, run the tests, take it back, and print a line."""
    (tree / path).write_text(fault.text, encoding="utf-8")
    code, seconds = _run(tree, tests)
    shutil.copyfile(ROOT / path, tree / path)
    how = {0: "NOT NOTICED", 1: "noticed", None: "noticed: no end"}.get(code, "noticed: no start")
    change = f"{fault.before} -> {fault.after}".replace("\n", " ")
    print(f"{how} after {seconds:.0f} s: {path}:{fault.line}: {change[:160]}", flush=True)
    return code != 0


def _run(tree: Path, tests: list[str]) -> tuple[int | None, float]:
    """pytest's exit code, None when it does not end; and the seconds it took."""
    began = time.monotonic()
    words = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "not slow", *tests]
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        code = subprocess.run(words, cwd=tree, env=env, capture_output=True, timeout=LONGEST_S).returncode
    except subprocess.TimeoutExpired:
        code = None
    return code, time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
