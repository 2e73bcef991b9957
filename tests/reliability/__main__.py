"""`python -m tests.reliability`: measure each figure of the reliability table; exit code 1 unless all is well.

    python -m tests.reliability kills --kills 100 --only build,score
    python -m tests.reliability media tables --files 1000
    python -m tests.reliability endpoint
    python -m tests.reliability memory --rows 10000,100000,1000000

Without a part, all five. Each line of the output is a row of the table.
"""

import argparse
import platform
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

from tests.reliability.endpoint import endpoint
from tests.reliability.kills import CASES, killed
from tests.reliability.memory import memory

PARTS = ("kills", "media", "tables", "endpoint", "memory")


def mutated(kind: str, files: int) -> bool:
    """tests.fuzz in a process of its own: mutated files of the corpora of this kind."""
    done = subprocess.run([sys.executable, "-m", "tests.fuzz", "--files", str(files), "--kinds", kind], check=False)
    return done.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability")
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(PARTS))
    parser.add_argument("--kills", type=int, default=100, help="of each command")
    parser.add_argument("--only", default=",".join(CASES), help="the commands to kill")
    parser.add_argument("--files", type=int, default=1000, help="mutated files of each kind")
    parser.add_argument("--rows", default="10000,100000,1000000")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    parts = asked.parts or PARTS
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    print(f"{date.today()}, {platform.platform()}, Python {platform.python_version()}", flush=True)
    well = True
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        if "kills" in parts:
            for name in asked.only.split(","):
                well &= killed(name, asked.kills, asked.seed, folder / name)
        if "media" in parts:
            well &= mutated("media", asked.files)
        if "tables" in parts:
            well &= mutated("text", asked.files)
        if "endpoint" in parts:
            well &= endpoint(folder / "endpoint")
        if "memory" in parts:
            well &= memory([int(rows) for rows in asked.rows.split(",")], folder / "memory")
    return int(not well)


if __name__ == "__main__":
    sys.exit(main())
