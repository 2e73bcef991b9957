"""`python -m tests.planted`: plant faults drawn at random, one at a time, and count those that fast tests notice.

    python -m tests.planted --count 100 --seed 1

A copy of the tree gets the fault, and the tests of its room run there, without the slow ones, until one fails. Each
line of the output is a fault that was noticed or not. A fault that changes nothing that a caller can see is not noticed
either, so read those that are left.
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
from tests.planted.faults import number_of_faults, plant

SLOWER = 5  # tests that take so many times as long as without a fault do not end
PLAN = "tests/mmafflm/train/plan"
PARSED = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "tests/eval/score").glob("test_*parse*.py"))
SCORED = sorted(
    {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests/eval/score").glob("test_*.py")} - {*PARSED}
)
TESTS = {  # a pattern of product files, and their fast tests; the first that fits a file counts
    "eval/score/*parse*.py": PARSED,
    "eval/score/normalize.py": PARSED,
    "eval/score/wording.py": PARSED,
    "eval/score/*.py": SCORED,
    "eval/run/selection.py": ["tests/eval/run/test_selection.py"],
    "mmafflm/sampling.py": ["tests/mmafflm/test_sampling.py", "tests/eval/run/test_selection.py"],
    "data_build/mix/*.py": ["tests/data_build/mix"],
    "data_build/leaks/*.py": ["tests/data_build/leaks"],
    "mmafflm/train/plan/recipe_file.py": [PLAN],
    "mmafflm/train/plan/recipe_reach.py": [PLAN],
    "mmafflm/train/plan/plan.py": [PLAN],
    "mmafflm/train/stream/*.py": ["tests/mmafflm/train/stream"],
    "mmafflm/records.py": ["tests/mmafflm/test_records.py"],
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.planted")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="of files whose path has this in it; all by default")
    asked = parser.parse_args()
    of = {path: tests for pattern, tests in reversed(TESTS.items()) for path in sorted(ROOT.glob(pattern))}
    every = [
        (path, tests, number)
        for path, tests in of.items()
        if asked.only in str(path.relative_to(ROOT))
        for number in range(number_of_faults(path.read_text(encoding="utf-8")))
    ]
    drawn = Random(asked.seed).sample(every, min(asked.count, len(every)))
    noticed, whole_s = 0, dict[tuple[str, ...], float]()
    with tempfile.TemporaryDirectory() as made:
        tree = Path(made) / "tree"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(".*", "__pycache__", "runs", "raw", "data"))
        for tests in {tuple(tests): tests for _, tests, _ in drawn}.values():
            code, longest = _run(tree, tests, None)
            if code:
                parser.error(f"{' '.join(tests)}: does not pass without a fault")
            print(f"{' '.join(tests)}: {longest:.0f} s without a fault", flush=True)
            whole_s[tuple(tests)] = longest
        for path, tests, number in drawn:
            noticed += _noticed(tree, path.relative_to(ROOT), tests, number, SLOWER * whole_s[tuple(tests)])
    print(f"{noticed} of {len(drawn)} faults noticed; {len(every)} could be planted")
    return 0


def _noticed(tree: Path, path: Path, tests: list[str], number: int, longest_s: float) -> bool:
    """Plant the fault, run the tests, take it back, and print a line."""
    source = (tree / path).read_text(encoding="utf-8")
    fault = plant(source, number)
    (tree / path).write_text(fault.text, encoding="utf-8")
    mirror = [f"tests/{path.parent}/test_{path.name}"]
    code, seconds = _run(tree, [one for one in mirror if (ROOT / one).exists()] + tests, longest_s)
    (tree / path).write_text(source, encoding="utf-8")
    how = {0: "NOT NOTICED", 1: "noticed", None: "noticed: no end"}.get(code, "noticed: no start")
    change = f"{fault.before} -> {fault.after}".replace("\n", " ")
    print(f"{how} after {seconds:.0f} s: {path}:{fault.line}: {change[:160]}", flush=True)
    return code != 0


def _run(tree: Path, tests: list[str], longest_s: float | None) -> tuple[int | None, float]:
    """pytest's exit code, None when it does not end; and the seconds it took."""
    began = time.monotonic()
    words = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "not slow", *tests]
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        code = subprocess.run(words, cwd=tree, env=env, capture_output=True, timeout=longest_s).returncode
    except subprocess.TimeoutExpired:
        code = None
    return code, time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
