"""`python -m tests.readouts CKPT DATA OUT [ROWS]`: the same checkpoint read greedily and by choice, and the difference.

On XED (label sets) and onlineshopping (one label), at most ROWS test rows each (750). What is stopped goes on.
"""

import sys
from pathlib import Path

from tests.demo import step

SUBSETS = "XED,onlineshopping"


def main(ckpt: str, data: str, out: str, rows: str = "750") -> None:
    """Predict and score with either readout, then compare row by row."""
    runs = [Path(out) / readout for readout in ("greedy", "choice")]
    for run in runs:
        step("mmaffben", "predict", "--ckpt", ckpt, "--data", data, "--out", run, "--readout", run.name,
             "--subsets", SUBSETS, "--limit", rows)  # fmt: skip
        for mode in ("strict", "paper"):
            step("mmaffben", "score", run, "--data", data, "--mode", mode, "--markdown")
    step("mmaffben", "compare", *runs, "--data", data, "--anyway", "--markdown")


if __name__ == "__main__":
    main(*sys.argv[1:])
