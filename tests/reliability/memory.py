"""The peak memory of each command, at several numbers of rows."""

import subprocess
import sys
import time
from pathlib import Path

from tests.data_files import write_data
from tests.eval.made_runs import noisy, records, write_run

SUBSET = "onlineshopping"
# The kernel counts what a process held before it became another program, so a large parent would hide a small command.
_LAUNCH = """
import os, sys
child = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, *sys.argv[1:]])
_, status, usage = os.wait4(child, 0)
print(usage.ru_maxrss, os.waitstatus_to_exitcode(status))
"""


def memory(rows: list[int], folder: Path) -> bool:
    """Print a row for each command and number of rows; whether every command ended well."""
    well = True
    for number in rows:
        place = folder / str(number)
        _raw(place / "raw/onlineshopping", number)
        data, run, other = place / "built", place / "run", place / "other"
        tests = write_data(place / "data", {SUBSET: records(SUBSET, number, languages=("zh",))})
        write_run(run, tests, [SUBSET], noisy(0.3))
        write_run(other, tests, [SUBSET], noisy(0.4, seed=6))
        of = ["--data", str(tests.path)]
        commands = {
            "build": ["data_build", "build", "--raw", f"{place}/raw", "--out", str(data), "--jobs", "1"],
            "check": ["data_build", "check", "--data", str(data)],
            "stats": ["data_build", "stats", "--data", str(data)],
            "leaks": ["data_build", "leaks", "--data", str(data)],
            "export": ["data_build", "export", "--data", str(data), "--form", "parquet", "--out", f"{place}/exported"],
            "score": ["eval", "score", str(run), *of],
            "score of another": ["eval", "score", str(other), *of],
            "diagnose": ["eval", "diagnose", str(run), *of],
            "compare": ["eval", "compare", str(run), str(other), *of],
            "report": ["eval", "report", str(run), *of, "--out", f"{place}/report.html"],
            "leaderboard": ["eval", "leaderboard", str(run), str(other), *of, "--out", f"{place}/board"],
        }
        for name, words in commands.items():
            well &= _measured(name, number, words)
    return well


def _measured(name: str, rows: int, words: list[str]) -> bool:
    """Run a command. Its peak is that of the largest of its processes, as the kernel counts resident memory."""
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", _LAUNCH, "-m", *words], capture_output=True, text=True, check=True)
    peak, code = map(int, done.stdout.split()[-2:])
    print(f"| memory: {name} | {rows} rows | {peak / 1024:.0f} MiB, {time.monotonic() - began:.0f} s |"
          + (f" exit code {code}: {done.stderr[-300:]}" if code else ""), flush=True)  # fmt: skip
    return code == 0


def _raw(folder: Path, rows: int) -> None:
    """A made-up online_shopping_10_cats.csv."""
    folder.mkdir(parents=True)
    with (folder / "online_shopping_10_cats.csv").open("w", encoding="utf-8") as out:
        out.write("cat,label,review\n")
        for number in range(rows + 2000):
            said = "很好" if number % 2 else "不好"
            out.write(f"书籍,{number % 2},第{number}本书{said}，物流很快，第{number * 7919 % 10007}次购买\n")
