"""`python -m tests.fuzz --files 1000 --seed 1`: build mutated raw files; exit code 1 unless all is well.

Each case is built in a child process with a limit of time and memory. Crashes, hangs, tracebacks and lost rows are
counted and printed; all four must be zero. --kinds text leaves out the corpora of pictures and clips. --folder keeps
the samples for the next run; --first N starts at that case.
"""

import argparse
import json
import os
import resource
import selectors
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.fuzz.building import MEDIA, TEXT, Outcome, run_case

LIMIT_S, MEMORY = 120.0, 10 << 30
FAULTY = ("crash", "hang", "traceback", "lost rows")


class Child:
    """A process that builds cases one after the other; it is replaced when one hangs or crashes it."""

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz", *self.words, "--child"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def run(self, number: int) -> Outcome:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{number}\n".encode())
        self.process.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            line = self.process.stdout.readline() if selector.select(LIMIT_S) else None
        if line:
            return Outcome(**json.loads(line))
        result = "hang" if line is None else "crash"
        self.stop()
        self.start()
        return Outcome(number, "?", "?", result, f"case {number}")

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def serve(seed: int, corpora: tuple[str, ...], folder: Path) -> None:
    """The child's loop: read the number of a case, write its outcome."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for line in sys.stdin:
        print(json.dumps(run_case(int(line), seed, corpora, folder)._asdict()), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", choices=("text", "media", "all"), default="all")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    corpora = {"text": TEXT, "media": MEDIA, "all": (*TEXT, *MEDIA)}[asked.kinds]
    if asked.child:
        serve(asked.seed, corpora, asked.folder)
        return 0
    with tempfile.TemporaryDirectory() as made:
        folder = asked.folder or Path(made)
        child = Child(["--seed", str(asked.seed), "--kinds", asked.kinds, "--folder", str(folder)])
        counts: Counter[str] = Counter()
        for number in range(asked.first, asked.first + asked.files):
            one = child.run(number)
            counts[one.result] += 1
            if one.result in FAULTY:
                print(f"{one.result}: case {number}, {one.corpus}, {one.what}\n{one.detail}", flush=True)
        child.stop()
    print(f"{asked.files} mutated files, seed {asked.seed}, {asked.kinds}: ", end="")
    print(", ".join(f"{counts[name]} {name}" for name in ("built", "refused", *FAULTY)))
    return int(any(counts[name] for name in FAULTY))


if __name__ == "__main__":
    sys.exit(main())
